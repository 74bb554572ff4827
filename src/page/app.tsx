import { useEffect, useState } from 'preact/hooks';
import { ApiFailure } from './api/failure.ts';
import { readSession, type SignedIn, signIn, signOut } from './api/session.ts';
import { AuditView } from './audit/audit-view.tsx';
import { CompareView } from './compare/compare-view.tsx';
import { KeysView } from './keys/keys-view.tsx';
import { onSignedOut, tryAgain, useLine } from './live/use-live.ts';
import { linkTo, usePageState } from './navigation.ts';
import { RunView, toRuns } from './run/run-view.tsx';
import { RunsView } from './runs/runs-view.tsx';
import { takeToken } from './sign-in/one-time-token.ts';
import { Scopes, useMay } from './sign-in/scopes.ts';
import { SignIn } from './sign-in/sign-in.tsx';
import { ThemeButton } from './theme.tsx';
import { formatTime } from './time/format.ts';
import { Trouble } from './trouble.tsx';
import { wholeAudit } from './url-state.ts';

type Access =
  | { kind: 'asking' }
  | { kind: 'failed'; error: Error }
  | { kind: 'out'; reason: string }
  | { kind: 'in'; session: SignedIn };

/** The page. It shows the view that the address names, once somebody is signed in. */
export function App() {
  const [access, setAccess] = useState<Access>({ kind: 'asking' });
  const ask = () => {
    setAccess({ kind: 'asking' });
    void enter().then(setAccess);
  };
  useEffect(() => {
    onSignedOut(() =>
      setAccess((before) =>
        before.kind === 'in' ? { kind: 'out', reason: 'The session is over. Sign in again.' } : before,
      ),
    );
    ask();
  }, []);
  if (access.kind === 'asking')
    return (
      <p class="wait quiet-text" role="status">
        …
      </p>
    );
  if (access.kind === 'failed') return <Trouble error={access.error} onAgain={ask} />;
  if (access.kind === 'out') {
    return <SignIn reason={access.reason} onSignedIn={(session) => setAccess({ kind: 'in', session })} />;
  }
  const leave = () =>
    signOut().then(
      () => setAccess({ kind: 'out', reason: 'Signed out.' }),
      (error) => setAccess({ kind: 'failed', error }),
    );
  return (
    <Scopes.Provider value={access.session.scopes}>
      <Head session={access.session} onLeave={leave} />
      <LineBanner />
      <Shown session={access.session} />
    </Scopes.Provider>
  );
}

/** Begins a session with the token of the link, if the address has one; otherwise reads the session of the cookie. */
async function enter(): Promise<Access> {
  const token = takeToken();
  try {
    if (token !== undefined) return { kind: 'in', session: await signIn({ token }) };
    return { kind: 'in', session: await readSession() };
  } catch (error) {
    if (!(error instanceof ApiFailure) || error.status !== 401) return { kind: 'failed', error: error as Error };
    if (token === undefined) return { kind: 'out', reason: '' };
    // The link was opened before, so this browser may be signed in already.
    return readSession().then(
      (session): Access => ({ kind: 'in', session }),
      (): Access => ({
        kind: 'out',
        reason: 'The link has been used, or is older than ten minutes. Sign in with a key.',
      }),
    );
  }
}

function Shown({ session }: { session: SignedIn }) {
  const state = usePageState();
  if (state.view === 'run') return <RunView key={state.dataId} state={state} />;
  if (state.view === 'compare') return <CompareView key={state.dataIds.join()} state={state} />;
  if (state.view === 'keys') return <KeysView state={state} session={session} />;
  if (state.view === 'audit') return <AuditView state={state} />;
  return <RunsView filters={state.filters} />;
}

function Head({ session, onLeave }: { session: SignedIn; onLeave: () => void }) {
  const mayAdminister = useMay('admin');
  return (
    <header class="page-head">
      <button type="button" class="skip" onClick={skip}>
        To the content
      </button>
      <a class="home" {...toRuns()}>
        metrology-server
      </a>
      <span class="organization" dir="auto">
        {session.organization_name}
      </span>
      <nav aria-label="Page">
        {mayAdminister && <a {...linkTo({ view: 'keys', ended: false })}>Keys</a>}
        {mayAdminister && <a {...linkTo(wholeAudit)}>Audit</a>}
        <a href="docs">API</a>
        <ThemeButton />
        <button type="button" class="quiet" onClick={onLeave}>
          Sign out
        </button>
      </nav>
    </header>
  );
}

function skip(): void {
  const main = document.querySelector<HTMLElement>('main');
  main?.setAttribute('tabindex', '-1');
  main?.focus();
}

/** A banner while the live connection is lost: what is shown may be old. */
function LineBanner() {
  const line = useLine();
  if (line.kind !== 'lost') return null;
  const since = Math.floor(line.sinceMs / 1_000) * 1_000;
  return (
    <p class="banner" role="alert">
      Not connected since {formatTime(since, 'local', 0)}: {line.why} What is shown may be old; it is brought up to date
      as soon as the server answers.{' '}
      <button type="button" onClick={tryAgain}>
        Try now
      </button>
    </p>
  );
}
