import { createContext } from 'preact';
import { useContext } from 'preact/hooks';

/** What the key of whoever is signed in may do. */
export const Scopes = createContext<readonly string[]>([]);

/** Whether to offer what needs a scope. The server refuses it anyway. */
export const useMay = (scope: 'write' | 'delete' | 'admin'): boolean => useContext(Scopes).includes(scope);
