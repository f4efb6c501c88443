/**
 * Ways to write a secret that anybody who has the text could read it from. Made for tests, by other means than the
 * redactor's own.
 */
export function writings(secret: string): Record<string, string> {
  const bytes = Buffer.from(secret);
  const component = encodeURIComponent(secret);
  const form = new URLSearchParams({ x: secret }).toString().slice(2);
  const json = JSON.stringify(secret).slice(1, -1);
  const lower = (text: string) => text.replace(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase());
  const every = [...bytes].map((byte) => byte.toString(16).padStart(2, "0"));
  return {
    exact: secret,
    json,
    "json in json": JSON.stringify(json).slice(1, -1),
    "json, every character escaped": [...Array(secret.length).keys()]
      .map((at) => `\\u${secret.charCodeAt(at).toString(16).padStart(4, "0")}`)
      .join(""),
    component,
    "component, lower hex": lower(component),
    form,
    "form, lower hex": lower(form),
    "every byte in percent": every.map((hex) => `%${hex}`).join(""),
    "percent, twice": encodeURIComponent(component),
    "component in json": JSON.stringify(component).slice(1, -1),
    hex: bytes.toString("hex"),
    HEX: bytes.toString("hex").toUpperCase(),
    entities: secret.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;"),
    "numeric entities": [...secret].map((char) => `&#${char.codePointAt(0)};`).join(""),
  };
}

/** Base64 of the secret within a longer text, in both alphabets, with padding and without. */
export function base64Writings(secret: string, before: Buffer, after: Buffer): Record<string, string> {
  const bytes = Buffer.concat([before, Buffer.from(secret), after]);
  const standard = bytes.toString("base64");
  return {
    base64: standard,
    "base64 without padding": standard.replace(/=+$/, ""),
    base64url: bytes.toString("base64url"),
    "base64 in lines": standard.replace(/.{5}/g, "$&\r\n"),
    "base64 in a URL": encodeURIComponent(standard),
    "base64 in json": standard.replaceAll("/", "\\/"),
  };
}

/** Of base64 of the secret in a longer text: what the secret's own bytes decide, in three alignments. */
export function base64Cores(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [0, 1, 2].flatMap((ahead) => {
    // The same characters whatever stands around: found by trying two extremes.
    const [zeros, ones] = [0, 255].map((fill) =>
      Buffer.concat([Buffer.alloc(ahead, fill), bytes, Buffer.alloc(3, fill)]).toString("base64"),
    ) as [string, string];
    let from = 0;
    while (from < zeros.length && zeros[from] !== ones[from]) from++;
    // Characters before the secret that differ by chance in nothing are part of it only from its first bit on.
    from = Math.max(from, Math.ceil((ahead * 8) / 6));
    const to = Math.floor(((ahead + bytes.length) * 8) / 6);
    const core = zeros.slice(from, to);
    return [core, core.replaceAll("+", "-").replaceAll("/", "_")];
  });
}

/** The forms of a secret that a text has; none, where nothing leaked. */
export function leaks(text: string, secret: string): string[] {
  const squeezed = text.replace(/\s+/g, "");
  const found = Object.entries(writings(secret))
    .filter(([, written]) => text.includes(written))
    .map(([name]) => name);
  const cores = base64Cores(secret).filter((core) => text.includes(core) || squeezed.includes(core));
  return [...found, ...cores.map((core) => `base64 ${core}`)];
}
