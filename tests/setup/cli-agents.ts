import { manifest } from "./house.ts";

/** Agents that ask, pay, write much and call each other, for tests of the command line. */
export const SHOP = manifest("shop", {
  tools: `    - name: ask_user
      type: client
      description: Asks the user
      parameters: { type: object, properties: { question: { type: string } }, required: [question] }
    - name: refund
      type: http
      description: Pays money back
      parameters: { type: object, properties: { order: { type: string }, won: { type: integer } }, required: [order, won] }
      request: { method: POST, url: "http://shop.maru.internal/refund" }
      approval: always
    - { name: calculator, type: builtin }
`,
});
export const WRITER = manifest("writer", {
  tools: `    - name: long
      type: function
      description: A long text
      parameters: { type: object, properties: { n: { type: integer } }, required: [n] }
      source: "export default ({ n }) => '가나다라'.repeat(n)"
`,
  limits: "{ toolOutputBytes: 256 }",
});
export const BOSS = manifest("boss", {
  tools: "    - { name: ask_shop, type: agent, description: Asks the shop, deployment: shop }\n",
});
export const ASK = '#sim tool ask_user {"question":"Which city?"}';
export const REFUND = '#sim tool refund {"order":"7","won":5000}';
