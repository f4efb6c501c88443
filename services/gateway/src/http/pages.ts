import { decodeCursor, encodeCursor } from "@maru/domain";

/** Cursor pages: `next` is signed, so it can only come from the same list of the same workspace. */
export function createPages(key: Buffer) {
  return {
    /**
     * Reads one page: asks for one more than `limit` to know whether another page follows.
     * @throws Problem invalid_cursor
     */
    async read<T>(
      list: string,
      workspace: string,
      query: { limit?: number; after?: string },
      load: (limit: number, after: string | null) => Promise<T[]>,
      position: (item: T) => string,
    ): Promise<{ data: T[]; next: string | null }> {
      const limit = query.limit ?? 20;
      const after = query.after === undefined ? null : decodeCursor(query.after, { list, workspace }, key);
      const items = await load(limit + 1, after);
      const data = items.slice(0, limit);
      const last = data.at(-1);
      return {
        data,
        next:
          items.length > limit && last !== undefined
            ? encodeCursor({ list, workspace, position: position(last) }, key)
            : null,
      };
    },
  };
}
export type Pages = ReturnType<typeof createPages>;
