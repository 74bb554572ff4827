import { appendFile, copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runToEnd } from '../../sdk/support/run-to-end.ts';
import { programPath } from './packages.ts';

/** The name that the server's certificate is for, besides localhost. */
export const serverName = 'metrology.lab.internal';

export interface Certificates {
  /** The lab's own CA, which no trust store knows. */
  ca: string;
  /** Another CA, which signed nothing here. */
  otherCa: string;
  certificate: string;
  key: string;
  /** Certificate and key in one file, as HAProxy wants them. */
  both: string;
}

/** Makes an internal CA and a certificate of it, as a lab does with openssl. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const at = (name: string) => join(folder, name);
  await makeCa(folder, 'ca');
  await makeCa(folder, 'other-ca');
  await writeFile(
    at('server.ext'),
    `subjectAltName=DNS:localhost,IP:127.0.0.1,DNS:${serverName}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n`,
  );
  await openssl(folder, ['req', ...newKey('server.key'), '-out', 'server.csr', '-subj', `/CN=${serverName}`]);
  const signer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
  const request = ['x509', '-req', '-in', 'server.csr', '-days', '2', '-extfile', 'server.ext', '-out', 'server.pem'];
  await openssl(folder, [...request, ...signer]);
  await copyFile(at('server.pem'), at('both.pem'));
  await appendFile(at('both.pem'), await readFile(at('server.key')));
  return {
    ca: at('ca.pem'),
    otherCa: at('other-ca.pem'),
    certificate: at('server.pem'),
    key: at('server.key'),
    both: at('both.pem'),
  };
}

async function makeCa(folder: string, name: string): Promise<void> {
  const uses = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
  const extensions = uses.flatMap((use) => ['-addext', use]);
  const out = ['-out', `${name}.pem`, '-days', '2', '-subj', `/CN=Lab ${name}`];
  await openssl(folder, ['req', '-x509', ...newKey(`${name}.key`), ...out, ...extensions]);
}

const newKey = (file: string) => ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file];

async function openssl(folder: string, args: string[]): Promise<void> {
  await runToEnd(programPath('openssl'), args, { cwd: folder, msMax: 30_000 });
}
