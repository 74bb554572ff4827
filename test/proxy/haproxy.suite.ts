import { describeProxy } from './support/behind.ts';

describeProxy('haproxy');
