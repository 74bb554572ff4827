/**
 * Changes a text so that no spreadsheet finds a formula in it, whatever separator it uses for CSV. In half of the world
 * that is `;`, with which `;=1` is an empty cell and a formula. A `'` goes before each `=`, `+`, `-` or `@` (also
 * full-width) that could begin a cell, and before a tab or line break at the beginning of the text
 * (https://owasp.org/www-community/attacks/CSV_Injection).
 */
export function withoutFormulas(text: string): string {
  return text.replace(beginning, "$1'").replace(/^(?=[\t\r\n])/, "'");
}

/**
 * Before a character that begins a formula: the beginning of the text, or a character that may end a cell, and white space
 * after it.
 */
const beginning = /((?:^|[,;:|\t\r\n"'])\s*)(?=[=+\-@＝＋－＠])/g;
