/**
 * A text in which a spreadsheet finds no formula, whatever it takes for the separator of a CSV file: half of the world's
 * takes `;`, under which `;=1` is an empty cell and then a formula. A `'` goes before each `=`, `+`, `-` or `@`, of full
 * width too, with which a cell may begin, and before a tab or a line break at the very beginning
 * (https://owasp.org/www-community/attacks/CSV_Injection).
 */
export function withoutFormulas(text: string): string {
  return text.replace(beginning, "$1'").replace(/^(?=[\t\r\n])/, "'");
}

/** The beginning of the text, or what may end a cell, and white space after it, before what begins a formula. */
const beginning = /((?:^|[,;:|\t\r\n"'])\s*)(?=[=+\-@＝＋－＠])/g;
