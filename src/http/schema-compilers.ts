import ajvCompiler from '@fastify/ajv-compiler';
import serializerCompiler from '@fastify/fast-json-stringify-compiler';
import type { FastifyServerOptions } from 'fastify';

type Factories = Required<NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>>;

/** Fastify passes more arguments than are used here. All of them are passed on. */
type Factory<Result> = (...given: unknown[]) => (schemaOfRoute: unknown) => Result;
type Validator = { (data: unknown): unknown; errors?: unknown };
type Serializer = (data: unknown) => string;

/**
 * Fastify's own compilers of schemas, made lazy: a schema is compiled when it is first used. Compiling all of them took
 * a quarter of a server's start, and schemas that no client uses are never compiled.
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
        // Fastify reads the errors from the function that it has called.
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
