/**
 * `${env.NAME}` and `${env.NAME:-default}` in a text of a manifest. With more than one `$` before it, it is that text itself
 * with one `$` less, and the server reads it so.
 */
const REFERENCE = /(\$+)\{env\.([^}]*)\}/g;
const NAME = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

export interface Interpolated {
  /** To be sent: what only looks like a reference is escaped. */
  readonly text: string;
  /** Whether anything was put in. */
  readonly changed: boolean;
  /** What can't be put in, in words. */
  readonly problems: readonly string[];
}

/** Puts the environment into a text. */
export function interpolate(text: string, env: Readonly<Record<string, string | undefined>>): Interpolated {
  const problems: string[] = [];
  let changed = false;
  const meaning = text.replace(REFERENCE, (written, dollars: string, inside: string) => {
    if (dollars.length > 1) return written.slice(1);
    changed = true;
    const [, name, fallback] = NAME.exec(inside) ?? [];
    if (name === undefined) {
      problems.push(
        `\${env.${inside}} is no reference: a name has letters, digits and underscores, a default follows \`:-\`.`,
      );
      return written;
    }
    const given = env[name];
    const value = given === undefined || given === "" ? (fallback ?? given) : given;
    if (value === undefined)
      problems.push(`The environment has no ${name}: set it, or write a default, \${env.${name}:-default}.`);
    return value ?? written;
  });
  return { text: changed ? literally(meaning) : text, changed, problems };
}

/** A text as a manifest has to write it, so that nobody takes it for a reference. */
export const literally = (text: string): string => text.replace(/\$+(?=\{env\.)/g, "$$$&");

/** The one reference a whole text is, if it is one. */
export const isReference = (text: string): boolean => /^\$\{env\.[^}]*\}$/.test(text);
