import type { Turn } from "./conversation.ts";
import { josa, quotation } from "./korean.ts";

const TOLD_EN = /\bmy ([a-z][a-z ]{0,40}?) (?:is|are) ([^.!?\n]{1,80})/i;
const TOLD_KO =
  /(?:내|제|나의|저의) ([가-힣 ]{1,20}?)(?:은|는|이|가) ([^.!?\n]{1,60}?)(?:이라고 해|이라고 합니다|라고 해|라고 합니다|이에요|예요|입니다|이야|야)(?=[\s.!]|$)/;
const ASKED_EN = /\b(?:what(?:'s| is| are)|tell me|do you (?:know|remember)) my ([a-z][a-z ]{0,40}?)\s*[?.!]*$/i;
const ASKED_KO = /(?:내|제|나의|저의) ([가-힣 ]{1,20}?)(?:은|는|이|가|을|를)?\s*(?:뭐|무엇|뭔지|기억|알아|어떻게|\?)/;
const BEFORE =
  /\bwhat did i (?:just )?(?:ask|say|tell)|\bmy (?:last|previous) (?:question|message)|(?:방금|아까|이전에|전에|앞에서).{0,16}(?:뭐라고|뭐|무엇|물어|질문|말했)|(?:이전|지난|마지막) (?:질문|메시지|말)/i;

/** Whether a text asks for an earlier message: then its words ("방금 날씨를 물었나?") are no wish for a tool. */
export function asksForEarlier(text: string): boolean {
  return BEFORE.test(text.slice(0, 400));
}

/** Whether a text tells or asks something about the user himself: a city in it is no new value for an earlier request. */
export function isAboutUser(text: string): boolean {
  return topicAsked(text.slice(0, 400)) !== null || toldIn(text.slice(0, 2_000)) !== null;
}

/** An answer from the conversation itself: the earlier question, or something the user said of himself; else null. */
export function recall(text: string, earlier: readonly Turn[], korean: boolean): string | null {
  const short = text.slice(0, 400);
  if (BEFORE.test(short)) {
    const last = earlier.findLast((turn) => turn.text !== "");
    if (last === undefined)
      return korean ? "이 대화에는 아직 이전 질문이 없습니다." : "There is no earlier message in this conversation.";
    return korean
      ? `바로 전에 ${quotation(last.text, 300)} 하셨습니다.`
      : `Before this you said: “${last.text.slice(0, 300)}”`;
  }
  const topic = topicAsked(short);
  if (topic === null) return null;
  for (const turn of earlier.toReversed()) {
    const told = toldIn(turn.text.slice(0, 2_000));
    if (told !== null && told.topic === topic) {
      return korean ? `${josa(topic, "은", "는")} ${told.value}입니다.` : `Your ${topic} is ${told.value}.`;
    }
  }
  return korean
    ? `${josa(topic, "은", "는")} 아직 말씀해 주시지 않았습니다.`
    : `You have not told me your ${topic} yet.`;
}

/** What the user says of himself in this very text: worth confirming. Null when nothing. */
export function acknowledge(text: string, korean: boolean): string | null {
  const told = toldIn(text.slice(0, 2_000));
  if (told === null) return null;
  return korean
    ? `네, ${josa(told.topic, "은", "는")} ${josa(told.value, "이라고", "라고")} 기억하겠습니다.`
    : `Noted: your ${told.topic} is ${told.value}.`;
}

function topicAsked(text: string): string | null {
  const match = ASKED_EN.exec(text) ?? ASKED_KO.exec(text);
  const topic = match?.[1]?.trim().toLowerCase();
  return topic === undefined || topic === "" ? null : topic;
}

function toldIn(text: string): { readonly topic: string; readonly value: string } | null {
  if (topicAsked(text) !== null) return null;
  const match = TOLD_EN.exec(text) ?? TOLD_KO.exec(text);
  const [, topic, value] = match ?? [];
  return topic === undefined || value === undefined ? null : { topic: topic.trim().toLowerCase(), value: value.trim() };
}
