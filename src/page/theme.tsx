import { useTheme } from './lib/hooks.ts';

const place = 'metrology theme';

/** Light or dark as it was chosen before; else as the computer has it. */
export function restoreTheme(): void {
  try {
    const theme = localStorage.getItem(place);
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch {
    // A browser may forbid storage. The theme of the computer is shown then.
  }
}

export function ThemeButton() {
  const other = useTheme() === 'dark' ? 'light' : 'dark';
  const change = () => {
    document.documentElement.dataset.theme = other;
    try {
      localStorage.setItem(place, other);
    } catch {
      // It lasts as long as the page then.
    }
  };
  return (
    <button type="button" class="quiet" onClick={change} aria-label={`Show the page ${other}`}>
      {other === 'dark' ? '☾' : '☀'}
    </button>
  );
}
