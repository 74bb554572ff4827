import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

const iterations = 4_096;

/**
 * A password as PostgreSQL keeps it (RFC 5802 and 7677): given to `create role` in this form, the password itself never
 * stands in a statement, which the server may write into its log. For passwords of ASCII letters, digits and punctuation.
 */
export function scramSecret(password: string, salt = randomBytes(16)): string {
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const key = (name: string) => createHmac('sha256', salted).update(name).digest();
  const storedKey = createHash('sha256').update(key('Client Key')).digest();
  const serverKey = key('Server Key');
  const [saltText, storedText, serverText] = [salt, storedKey, serverKey].map((bytes) => bytes.toString('base64'));
  return `SCRAM-SHA-256$${iterations}:${saltText}$${storedText}:${serverText}`;
}
