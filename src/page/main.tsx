import { render } from 'preact';
import { App } from './app.tsx';
import { restoreTheme } from './theme.tsx';

restoreTheme();
render(<App />, document.getElementById('page') as HTMLElement);
