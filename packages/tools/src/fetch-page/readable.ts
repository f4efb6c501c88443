import { Parser } from "htmlparser2";

/** What of a page a reader would read. */
export interface Readable {
  readonly title: string;
  /** Markdown: headings, lists, links, code, rows of tables. */
  readonly text: string;
  /** Not all of the page was looked at. */
  readonly cut: boolean;
}

/** Elements whose content is not text of the page, or not meant to be read as it. */
const UNREAD: ReadonlySet<string> = new Set([
  "script",
  "style",
  "noscript",
  "template",
  "svg",
  "math",
  "iframe",
  "object",
  "canvas",
  "audio",
  "video",
  "nav",
  "button",
  "select",
  "textarea",
  "dialog",
]);
const BLOCKS: ReadonlySet<string> = new Set([
  "address",
  "article",
  "aside",
  "blockquote",
  "body",
  "dd",
  "details",
  "div",
  "dl",
  "dt",
  "fieldset",
  "figcaption",
  "figure",
  "footer",
  "form",
  "h1",
  "h2",
  "h3",
  "h4",
  "h5",
  "h6",
  "header",
  "hr",
  "html",
  "li",
  "main",
  "ol",
  "p",
  "pre",
  "section",
  "summary",
  "table",
  "tr",
  "ul",
]);
/** Deeper than any page is written: the parser's time grows with the square of it. */
const MAX_DEPTH = 256;
/** Levels of lists and quotes that are shown; what is deeper looks like the deepest. */
const MAX_LEVELS = 8;
const MAX_TITLE = 300;
/** Less than this in `main`, and it is not where the page's text is. */
const MIN_MAIN = 200;

class TooDeep extends Error {}

interface Block {
  readonly text: string;
  /** Stands with its like without an empty line. */
  readonly tight: boolean;
  readonly inMain: boolean;
}

/** A page as Markdown; links are made absolute against its URL. Of a page that has a `main`, only that. */
export function readable(html: string, url: string): Readable {
  const writer = createWriter(url);
  const parser = new Parser(
    { onopentag: writer.open, onclosetag: writer.close, ontext: writer.text },
    { decodeEntities: true },
  );
  let cut = false;
  try {
    parser.write(html);
    parser.end();
  } catch (error) {
    if (!(error instanceof TooDeep)) throw error;
    cut = true;
  }
  const { title, blocks } = writer.finish();
  const main = joined(blocks.filter(({ inMain }) => inMain));
  return { title, text: main.length >= MIN_MAIN ? main : joined(blocks), cut };
}

function joined(blocks: readonly Block[]): string {
  let text = "";
  let tight = false;
  for (const block of blocks) {
    if (text !== "") text += tight && block.tight ? "\n" : "\n\n";
    text += block.text;
    tight = block.tight;
  }
  return text;
}

function createWriter(url: string) {
  const blocks: Block[] = [];
  /** Texts of the line that is being written, in pieces: a line may be as long as the page. */
  let line: string[] = [];
  let link: { href: string; text: string } | null = null;
  let depth = 0;
  /** The depth of the outermost element that is not read; 0 when there is none. */
  let unread = 0;
  let title: string | null = null;
  let inTitle = false;
  let base = url;
  let main = 0;
  let heading = 0;
  let pre = 0;
  let quotes = 0;
  let tables = 0;
  let marker = "";
  const lists: { ordered: boolean; next: number }[] = [];

  const add = (text: string): void => {
    if (link === null) line.push(text);
    else link.text += text;
  };
  const endLink = (): void => {
    if (link === null) return;
    const { href, text } = link;
    link = null;
    const shown = text.replace(/\s+/g, " ");
    if (shown.trim() !== "") line.push(`${/^ /.test(shown) ? " " : ""}[${shown.trim()}](${href})`);
    if (/ $/.test(shown)) line.push(" ");
  };
  /** Ends the line that is being written. A link around several blocks is one on the first that has text. */
  const flush = (): void => {
    if (link !== null && link.text.trim() !== "") endLink();
    const written = line.join("");
    line = [];
    const text =
      pre > 0
        ? written.replace(/^\n+|\s+$/g, "")
        : written
            .replace(/[ \t\r\f]+/g, " ")
            .replace(/ ?\n ?/g, "\n")
            .trim();
    if (text === "") return;
    const indent = "  ".repeat(Math.max(0, Math.min(lists.length, MAX_LEVELS) - 1));
    const before = `${"> ".repeat(Math.min(quotes, MAX_LEVELS))}${lists.length > 0 ? indent : ""}`;
    const head = marker !== "" ? marker : lists.length > 0 ? "  " : "";
    const shown = pre > 0 ? `\`\`\`\n${text}\n\`\`\`` : `${heading > 0 ? `${"#".repeat(heading)} ` : ""}${text}`;
    const next = `\n${before}${" ".repeat(head.length)}`;
    blocks.push({
      text: `${before}${head}${shown.replaceAll("\n", next)}`,
      tight: lists.length > 0 || tables > 0,
      inMain: main > 0,
    });
    marker = "";
  };
  const absolute = (href: string): string | null => {
    const target = href.startsWith("#") ? null : URL.parse(href, base);
    return target !== null && /^(?:https?|mailto):$/.test(target.protocol) ? target.href : null;
  };

  const opened = (name: string, attributes: Readonly<Record<string, string>>): void => {
    if (BLOCKS.has(name)) flush();
    if (/^h[1-6]$/.test(name)) heading = Number(name[1]);
    else if (name === "main") main++;
    else if (name === "pre") pre++;
    else if (name === "blockquote") quotes++;
    else if (name === "ul" || name === "ol")
      lists.push({ ordered: name === "ol", next: Number.parseInt(attributes.start ?? "1", 10) || 1 });
    else if (name === "li") {
      const list = lists.at(-1);
      marker = list?.ordered ? `${list.next++}. ` : "- ";
    } else if (name === "table") tables++;
    else if (name === "br") add("\n");
    else if (name === "code" && pre === 0) add("`");
    else if (name === "img" && attributes.alt) add(`![${attributes.alt.replace(/\s+/g, " ").trim()}]`);
    else if (name === "title") {
      inTitle = true;
      title = "";
    } else if (name === "base" && base === url) base = URL.parse(attributes.href ?? "", url)?.href ?? url;
    else if (name === "a") {
      endLink();
      const href = absolute(attributes.href ?? "#");
      if (href !== null) link = { href, text: "" };
    }
  };
  const closed = (name: string): void => {
    if (name === "td" || name === "th") {
      endLink();
      line.push(" | ");
    }
    if (name === "tr") line = [line.join("").replace(/[| \n]+$/, "")];
    if (name === "a") endLink();
    if (name === "code" && pre === 0) add("`");
    if (BLOCKS.has(name)) flush();
    if (/^h[1-6]$/.test(name)) heading = 0;
    else if (name === "main") main--;
    else if (name === "pre") pre--;
    else if (name === "blockquote") quotes--;
    else if (name === "table") tables--;
    else if (name === "ul" || name === "ol") lists.pop();
    else if (name === "li") marker = "";
    else if (name === "title") inTitle = false;
  };

  return {
    open(name: string, attributes: Readonly<Record<string, string>>): void {
      if (++depth > MAX_DEPTH) throw new TooDeep();
      if (unread > 0) return;
      if (UNREAD.has(name) || isHidden(attributes) || (name === "title" && title !== null)) unread = depth;
      else opened(name, attributes);
    },
    close(name: string): void {
      if (unread === 0) closed(name);
      else if (unread === depth) unread = 0;
      depth--;
    },
    text(text: string): void {
      if (unread > 0) return;
      if (inTitle) title = ((title ?? "") + text).slice(0, MAX_TITLE);
      else add(pre > 0 ? text : text.replace(/\s+/g, " "));
    },
    finish(): { title: string; blocks: readonly Block[] } {
      flush();
      return { title: (title ?? "").replace(/\s+/g, " ").trim(), blocks };
    },
  };
}

/** What a reader of the page would not see is often meant for who reads it otherwise. */
const isHidden = (attributes: Readonly<Record<string, string>>): boolean =>
  "hidden" in attributes ||
  attributes["aria-hidden"] === "true" ||
  /(?:display\s*:\s*none|visibility\s*:\s*hidden)/i.test(attributes.style ?? "");
