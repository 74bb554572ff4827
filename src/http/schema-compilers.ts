import ajvCompiler from '@fastify/ajv-compiler';
import serializerCompiler from '@fastify/fast-json-stringify-compiler';
import type { FastifyServerOptions } from 'fastify';

type Factories = Required<NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>>;

/** Both are called by Fastify with more than is looked at here, and all of it is passed on. */
type Factory<Result> = (...given: unknown[]) => (schemaOfRoute: unknown) => Result;
type Validator = { (data: unknown): unknown; errors?: unknown };
type Serializer = (data: unknown) => string;

/**
 * The compilers that Fastify has by itself, at work when a schema is used first. A server that starts compiles none, which was
 * a quarter of its start; and what no client asks for is never compiled.
 */
export function lazyCompilers(): Factories {
  const validators = ajvCompiler.AjvCompiler() as Factory<Validator>;
  const serializers = serializerCompiler.SerializerSelector() as Factory<Serializer>;
  const buildValidator: Factory<Validator> = (...given) => {
    const compile = validators(...given);
    return (schema) => {
      let validator: Validator | undefined;
      const lazy: Validator = (data) => {
        validator ??= compile(schema);
        const isValid = validator(data);
        // Fastify looks for them on the function that it has called.
        lazy.errors = validator.errors;
        return isValid;
      };
      return lazy;
    };
  };
  const buildSerializer: Factory<Serializer> = (...given) => {
    const compile = serializers(...given);
    return (schema) => {
      let serializer: Serializer | undefined;
      return (data) => {
        serializer ??= compile(schema);
        return serializer(data);
      };
    };
  };
  return { buildValidator, buildSerializer } as unknown as Factories;
}
