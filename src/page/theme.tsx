import { useTheme } from './lib/hooks.ts';

const place = 'metrology theme';

/** Sets the theme that was chosen before. Without a choice the style sheet follows the system. */
export function restoreTheme(): void {
  try {
    const theme = localStorage.getItem(place);
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch {
    // A browser may forbid storage. The theme of the system is shown then.
  }
}

export function ThemeButton() {
  const other = useTheme() === 'dark' ? 'light' : 'dark';
  const change = () => {
    document.documentElement.dataset.theme = other;
    try {
      localStorage.setItem(place, other);
    } catch {
      // The choice lasts until the page is closed.
    }
  };
  return (
    <button type="button" class="quiet" onClick={change} aria-label={`Show the page ${other}`}>
      {other === 'dark' ? '☾' : '☀'}
    </button>
  );
}
