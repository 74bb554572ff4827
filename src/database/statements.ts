/** Comments, strings, names in quotes and bodies in dollars are of one piece; strings with backslashes (`E'…'`) are not known. */
const piece = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|(\$\w*\$)[\s\S]*?\1|;|[^;'"$/-]+|[$/-]/g;

/** Divides a text of SQL into its statements, each with its semicolon and the comments before it. */
export function statementsOf(text: string): string[] {
  const statements: string[] = [];
  let statement = '';
  let isEmpty = true;
  const end = () => {
    if (!isEmpty) statements.push(statement.trim());
    [statement, isEmpty] = ['', true];
  };
  for (const [found] of text.matchAll(piece)) {
    statement += found;
    if (found === ';') end();
    else if (!/^(--|\/\*|\s*$)/.test(found)) isEmpty = false;
  }
  end();
  return statements;
}
