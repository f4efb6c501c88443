/** A list: every member of it, page after page as they are needed, or one page as the API answers it. */
export interface Pages<Item, Page> extends AsyncIterable<Item> {
  /** The first page, or the one that `after` in the query names. Its `next`, where lists have one, is the next one's `after`. */
  page(): Promise<Page>;
}

/** `read` answers the page after a cursor; without one the first. `next` says where the following one begins, null at the end. */
export function pages<Item, Page extends { readonly data: readonly Item[] }, Cursor>(
  read: (after: Cursor | undefined) => Promise<Page>,
  next: (page: Page) => Cursor | null,
): Pages<Item, Page> {
  return {
    page: () => read(undefined),
    async *[Symbol.asyncIterator]() {
      for (let after: Cursor | undefined; ; ) {
        const page = await read(after);
        yield* page.data;
        const cursor = next(page);
        if (cursor === null) return;
        after = cursor;
      }
    },
  };
}
