import { expect, test } from "vitest";
import { readable } from "./readable.ts";

const text = (html: string): string => readable(html, "https://example.com/dir/page").text;

test.each<[string, string, string]>([
  ["headings and paragraphs", "<h1>One</h1><p>a</p><h3>Two <em>x</em></h3>b", "# One\n\na\n\n### Two x\n\nb"],
  ["white space and entities", "<p> a\n  b&nbsp;&amp; <b>c </b> d&lt;</p>", "a b & c d<"],
  ["line breaks", "<p>a<br>b<br/> c</p>", "a\nb\nc"],
  [
    "links, made absolute",
    '<a href="x?a=1&amp;b=2">x</a> <a href="/y">y</a> <a href="//z.example/">z</a>',
    "[x](https://example.com/dir/x?a=1&b=2) [y](https://example.com/y) [z](https://z.example/)",
  ],
  [
    "links within a page or to code as their text",
    '<a href="#a">a</a> <a href="javascript:alert(1)">b</a> <a href="data:text/html,x">c</a> <a>d</a>',
    "a b c d",
  ],
  ["the base of links", '<base href="https://b.example/q/"><a href="x">x</a>', "[x](https://b.example/q/x)"],
  [
    "a link around a card",
    '<a href="/c"><div><h2>Card</h2><p>more</p></div></a>',
    "## [Card](https://example.com/c)\n\nmore",
  ],
  ["a link without text as nothing", 'a<a href="/c"><img src="x"></a>b', "ab"],
  ["pictures by their words", '<p><img alt="A  map" src="x"> there', "![A map] there"],
  ["lists, not closed", "<ul><li>a<li>b<ol start=3><li>c<li>d</ol></ul>", "- a\n- b\n  3. c\n  4. d"],
  ["paragraphs of an item", "<ul><li><p>a</p><p>b</p></li></ul>", "- a\n  b"],
  ["quotes", "<blockquote><p>a</p><blockquote>b</blockquote></blockquote>c", "> a\n\n> > b\n\nc"],
  [
    "code as it stands",
    "<p><code>a  b</code></p><pre>\n  if (a &lt; b)\n\n    c;\n</pre>",
    "`a b`\n\n```\n  if (a < b)\n\n    c;\n```",
  ],
  [
    "rows of tables",
    "<table><tr><th>City</th><th>℃</th></tr><tr><td>서울</td><td>3</td></tr></table><p>x",
    "City | ℃\n서울 | 3\n\nx",
  ],
  [
    "no scripts, styles, navigation or buttons",
    "<style>a{}</style><script>b<p></script><nav>c</nav><button>d</button><svg><text>e</text></svg><noscript>f</noscript>g",
    "g",
  ],
  [
    "nothing that a reader would not see",
    '<p hidden>a</p><div style="color:red;DISPLAY : none">b<p>c</div><span aria-hidden="true">d</span>e',
    "e",
  ],
  ["no comments", "a<!-- <p>b --><!doctype x>c", "ac"],
  [
    "what is not closed or not HTML",
    "<p>a<div>b</span></p></section>c<x-y>d",
    "a\n\nb\n\nc\n\nd".replace("\n\nd", "d"),
  ],
  ["an empty page", "", ""],
])("reads %s", (_what, html, expected) => expect(text(html)).toBe(expected));

test("only the main part, where the page says which it is and there is enough in it", () => {
  const long = "word ".repeat(50).trim();
  expect(text(`<header>top</header><main><p>${long}</p></main><footer>end</footer>`)).toBe(long);
  expect(text("<header>top</header><main><p>short</p></main><footer>end</footer>")).toBe("top\n\nshort\n\nend");
});

test("the first title, and not a drawing's", () => {
  expect(
    readable("<svg><title>no</title></svg><title> A\n&amp; B </title><title>C</title>x", "https://example.com/"),
  ).toEqual({
    title: "A & B",
    text: "x",
    cut: false,
  });
});

// Shapes that cost a reader the square of their length when it is careless.
test.each<[string, string]>([
  ["elements in elements", "<b>".repeat(700_000)],
  ["quotes in quotes", "<blockquote>x".repeat(150_000)],
  ["links that do not close", '<a href="x">y'.repeat(150_000)],
  ["links in one line", '<a href="x">y</a> '.repeat(110_000)],
  ["ends without beginnings", "</x>".repeat(500_000)],
  ["one element's attributes", `<p ${"a=1 ".repeat(500_000)}>`],
  ["spaces", `<p>${" ".repeat(2_000_000)}x`],
  ["lines", `<pre>${"\n".repeat(2_000_000)}x`],
  ["items", `<ul>${"<li>x".repeat(400_000)}`],
  ["comments", "<!--".repeat(500_000)],
  ["angles", "<".repeat(2_000_000)],
  ["a style without end", `<p style="${"display ".repeat(250_000)}">`],
])("a page of 2 MB made of %s is soon read", (_what, html) => void text(html));

test("a page nested deeper than pages are is read so far", () => {
  expect(readable(`<p>before</p>${"<div>".repeat(300)}after`, "https://example.com/")).toMatchObject({
    text: "before",
    cut: true,
  });
});
