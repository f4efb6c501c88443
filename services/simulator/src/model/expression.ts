/** Spoken arithmetic, most specific first; what is left are digits, operators and parentheses. */
const SPOKEN: readonly (readonly [RegExp, string])[] = [
  [/(\d),(?=\d{3}(?!\d))/g, "$1"],
  [/(\d(?:[\d.]*\d)?) ?% ?(?:of|의) ?(\d[\d.]*)/gi, "$2 * $1 / 100"],
  [/(\d[\d.]*)의 (\d[\d.]*) ?(?:%|퍼센트)/g, "$1 * $2 / 100"],
  [/(?:the )?square root of (\d[\d.]*)/gi, "sqrt($1)"],
  [/(\d[\d.]*)의 제곱근/g, "sqrt($1)"],
  [/(\d[\d.]*) ?(?:의 제곱(?!근)| squared)/gi, "$1 * $1"],
  [/(?<=[\d)]) ?(?:×|x|곱하기|times|multiplied by) ?(?=[\d(-])/gi, " * "],
  [/(?<=[\d)]) ?(?:÷|나누기|divided by|over) ?(?=[\d(-])/gi, " / "],
  [/(?<=[\d)]) ?(?:더하기|plus) ?(?=[\d(-])/gi, " + "],
  [/(?<=[\d)]) ?(?:빼기|minus) ?(?=[\d(-])/gi, " - "],
];

/** Digits with dashes that are no subtraction: order numbers, dates, phone numbers. */
const NOT_ARITHMETIC =
  /\b[A-Za-z]+-\d[\w-]*|\b\d{4}-\d{1,2}-\d{1,2}\b|\b\d{2,4}-\d{3,4}-\d{4}\b|\b\d{4}\/\d{1,2}\/\d{1,2}\b/g;
/** Blanks belong to an expression only beside an operator: `1 2 + 3` is `2 + 3`. */
const RUN = /(?:sqrt\()?[-(]*\d(?:[-\d.()+*/^%]|sqrt\(|[ \t]{1,2}(?=[-+*/^%)])|(?<=[-+*/^%(])[ \t]{1,2}(?=[-\d(s]))*/g;
const OPERATION = /[\d)][ \t]*[-+*/^%][ \t]*[-(]*(?:\d|sqrt)|sqrt\(/;

/**
 * The arithmetic expressions in a text, in order: `12 × (3+4)를 계산해줘` has `12 * (3+4)`. Spoken operators of both
 * languages are understood, dates and phone numbers are not taken for subtractions. Only `+ - * / % ^ ( ) sqrt` occur.
 */
export function expressionsIn(text: string): string[] {
  if (!/\d/.test(text)) return [];
  let plain = text.slice(0, 2_000).replace(NOT_ARITHMETIC, ";");
  for (const [pattern, replacement] of SPOKEN) plain = plain.replace(pattern, replacement);
  const found: string[] = [];
  for (const [run] of plain.matchAll(RUN)) {
    const expression = balanced(run.replace(/[\s.+*/^%(-]+$/, "").trim());
    if (OPERATION.test(expression) && !found.includes(expression)) found.push(expression);
  }
  return found;
}

/** Drops parentheses that have no partner: `(3 + 4` from a sentence in brackets is `3 + 4`. */
function balanced(expression: string): string {
  const opened = expression.split("(").length;
  const closed = expression.split(")").length;
  if (opened > closed) return expression.replace(/^\(/, "");
  if (closed > opened) return expression.replace(/\)$/, "");
  return expression;
}
