import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { parse } from 'yaml';

/** The part of JSON Schema that the document uses. */
export interface Schema {
  type?: string | string[];
  enum?: unknown[];
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  propertyNames?: Schema;
  minProperties?: number;
  items?: Schema;
  minItems?: number;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
}

export interface Parameter {
  name: string;
  in: 'path' | 'query';
  required?: boolean;
  schema: Schema;
}

export interface Operation {
  /** `GET /tags/` */
  name: string;
  method: string;
  path: string;
  parameters: Parameter[];
  /** Of the JSON body; absent when the operation takes none. */
  body?: Schema;
  /** Whether the document says that it is answered without a key. */
  isOpen: boolean;
  /** Status to media type to what a body of it must be. */
  answers: Map<number, Map<string, Schema>>;
}

interface WrittenOperation {
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>;
  security?: unknown[];
}

/** The operations of openapi.yaml, with what they refer to in its place. */
export function readOperations(): Operation[] {
  const document = parse(readFileSync(new URL('../../../openapi.yaml', import.meta.url), 'utf8'));
  const { paths } = resolve(document, document) as { paths: Record<string, Record<string, WrittenOperation>> };
  // What is followed does not end by itself; its bounds have tests of their own.
  const ending = Object.entries(paths).filter(([path]) => !path.endsWith('/live'));
  return ending.flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, written]) => operationOf(method.toUpperCase(), path, written)),
  );
}

function operationOf(method: string, path: string, written: WrittenOperation): Operation {
  const { parameters = [], requestBody, responses, security } = written;
  const answers = Object.entries(responses).map(([status, { content = {} }]) => {
    const schemas = Object.entries(content).map(([mediaType, { schema }]) => [mediaType, schema] as const);
    return [Number(status), new Map(schemas)] as const;
  });
  const body = requestBody?.content['application/json']?.schema;
  return {
    name: `${method} ${path}`,
    method,
    path,
    parameters,
    ...(body && { body }),
    isOpen: security?.length === 0,
    answers: new Map(answers),
  };
}

/** No schema of the document holds itself. One that is referred to often stays one object, so that it is compiled once. */
function resolve(node: unknown, document: unknown, seen = new Map<unknown, unknown>()): unknown {
  if (typeof node !== 'object' || node === null) return node;
  const known = seen.get(node);
  if (known !== undefined) return known;
  const resolved = Array.isArray(node) ? node.map((one) => resolve(one, document, seen)) : resolvedObject();
  seen.set(node, resolved);
  return resolved;

  function resolvedObject() {
    const { $ref } = node as { $ref?: string };
    if ($ref !== undefined) return resolve(found($ref, document), document, seen);
    return Object.fromEntries(
      Object.entries(node as object).map(([name, value]) => [name, resolve(value, document, seen)]),
    );
  }
}

function found(reference: string, document: unknown): unknown {
  const names = reference.replace('#/', '').split('/');
  return names.reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], document);
}

// The document has keywords for readers, such as examples.
const ajv = new Ajv2020({ strict: false, validateFormats: false });
const compiled = new Map<Schema, ValidateFunction>();

/** @returns what is wrong with a value, empty when the schema allows it */
export function faultsOf(schema: Schema, value: unknown): string {
  const validate = compiled.get(schema) ?? ajv.compile(schema);
  compiled.set(schema, validate);
  return validate(value) ? '' : ajv.errorsText(validate.errors);
}
