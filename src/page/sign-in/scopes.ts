import { createContext } from 'preact';
import { useContext } from 'preact/hooks';

/** What the key of whoever is signed in may do. */
export const Scopes = createContext<readonly string[]>([]);

/** Whether to offer what needs the scope `write`. The server refuses it anyway. */
export const useMayWrite = (): boolean => useContext(Scopes).includes('write');
