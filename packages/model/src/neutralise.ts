/** The tags of chat templates that stand for themselves, without bars: K-EXAONE's and the GLM shape of calls. */
const TAGS = "tool_result|tool_response|tool_call|tool|think|arg_key|arg_value";
const TEMPLATE_TOKENS = new RegExp(`<(\\|[^\\s<>|]{1,40}\\||/?(?:${TAGS})>)`, "g");
const NEUTRALISED_TOKENS = new RegExp(`<\u200d(\\|[^\\s<>|]{1,40}\\||/?(?:${TAGS})>)`, "g");

/**
 * Text from users, tools and past answers with the chat template's own marks made harmless: a zero-width joiner (U+200D)
 * after `<` leaves them as readable as they were, but they no longer end a turn or a tool result. K-EXAONE sets tool
 * results off by plain tags only, so a page that holds `</tool_result><|endofturn|>` could otherwise speak as the system.
 * `restored` takes the joiners out again.
 */
export const neutralised = (text: string): string =>
  text.includes("<") ? text.replace(TEMPLATE_TOKENS, "<\u200d$1") : text;

/** The text as it was before `neutralised`, for people who want to see exactly what was said. */
export const restored = (text: string): string =>
  text.includes("<\u200d") ? text.replace(NEUTRALISED_TOKENS, "<$1") : text;
