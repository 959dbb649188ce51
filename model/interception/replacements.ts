/**
 * Properties of the platform's objects that are replaced while a machine runs.
 *
 * @module
 */

/** A function of the platform. */
export type Native = (this: unknown, ...args: unknown[]) => unknown;

/** A replaced property of an object. */
interface Replacement {
  readonly target: object;
  readonly key: PropertyKey;
  readonly model: PropertyDescriptor;
  readonly native: PropertyDescriptor | undefined;
  /** Whether both are values, which an assignment exchanges: ten times as fast as a definition. */
  readonly isValue: boolean;
}

/** Every replaced property but getters. */
const replacements: Replacement[] = [];

/** Adds a property to the replacements, if the platform has it: where the object inherits it. */
export function replace(
  object: object | undefined,
  key: PropertyKey,
  model: (native: never) => unknown,
): void {
  if (object === undefined) return;
  const value = Reflect.get(object, key);
  if (value === undefined) return;
  const target = ownerOf(object, key);
  const native = Reflect.getOwnPropertyDescriptor(target, key);
  const descriptor = {
    configurable: true,
    enumerable: native?.enumerable ?? false,
    writable: true,
    value: like(value, model(value as never)),
  };
  replacements.push({
    target,
    key,
    native,
    model: descriptor,
    isValue: native?.writable === true && keepsDescriptor(target, key, native),
  });
}

/** The object that has a property which another one may inherit. */
function ownerOf(object: object, key: PropertyKey): object {
  let owner: object | null = object;
  while (owner !== null && !Object.hasOwn(owner, key)) owner = Reflect.getPrototypeOf(owner);
  return owner ?? object;
}

/**
 * Whether an assignment leaves a property as it is, but for its value: in a context of `node:vm`,
 * a global that is assigned becomes enumerable.
 */
function keepsDescriptor(target: object, key: PropertyKey, native: PropertyDescriptor): boolean {
  if (target !== globalThis || native.enumerable === true) return true;
  Reflect.set(target, key, native.value);
  if (Reflect.getOwnPropertyDescriptor(target, key)?.enumerable === false) return true;
  Reflect.defineProperty(target, key, native);
  return false;
}

/**
 * Replaces a getter of an object by one that may call the platform's, if there is one: on the
 * object itself, even if it inherits the getter, as that is ten times as fast.
 */
export function replaceGetter(
  target: object,
  key: PropertyKey,
  model: (get: () => unknown) => unknown,
): void {
  const native = Reflect.getOwnPropertyDescriptor(target, key);
  let descriptor = native;
  for (let from: object | null = target; descriptor === undefined;) {
    from = Reflect.getPrototypeOf(from);
    if (from === null) return;
    descriptor = Reflect.getOwnPropertyDescriptor(from, key);
  }
  const getter = descriptor.get as Native | undefined;
  if (getter === undefined || !descriptor.configurable) return;
  const get = () => {
    const value = model(() => Reflect.apply(getter, target, []));
    // A getter that loads its value, as those of globals in Node, puts that in its own place.
    if (Reflect.getOwnPropertyDescriptor(target, key)?.get !== get) put(replacement, true);
    return value;
  };
  const replacement = { target, key, native, model: { ...descriptor, get }, isValue: false };
  replacements.push(replacement);
}

/** Adds a property that the platform has not. */
export function replaceMissing(target: object, key: PropertyKey, value: unknown): void {
  const model = { value, writable: true, enumerable: false, configurable: true };
  replacements.push({ target, key, native: undefined, model, isValue: false });
}

/** The value that replaces a property. */
export function replacementOf(target: object, key: PropertyKey): unknown {
  return replacements.find((each) => each.target === target && each.key === key)?.model.value;
}

/** Gives a replaced property its model's, or again its native, value. */
function put({ target, key, model, native, isValue }: Replacement, isModel: boolean): void {
  const descriptor = isModel ? model : native;
  if (descriptor === undefined) {
    Reflect.deleteProperty(target, key);
    return;
  }
  if (isValue && assign(target as Record<PropertyKey, unknown>, key, descriptor.value)) return;
  Reflect.defineProperty(target, key, descriptor);
}

/** Assigns a property; fails if code under test has defined it otherwise. */
function assign(target: Record<PropertyKey, unknown>, key: PropertyKey, value: unknown): boolean {
  try {
    // Several times as fast as Reflect.set.
    target[key] = value;
    return target[key] === value;
  } catch {
    return false;
  }
}

/** The getters of the platform's classes; redefining one takes microseconds. */
const getters: Replacement[] = [];
let areGettersReplaced = false;
let areInstalled = false;

/**
 * Replaces the getters: code under test has got a view, or a buffer, for which the traps of its
 * proxy do not answer, or looks at the prototypes.
 */
export function replaceGettersNow(): void {
  if (areGettersReplaced || !areInstalled) return;
  areGettersReplaced = true;
  for (const getter of getters) put(getter, true);
}

/** Adds getters of a class. */
export function replaceGetters(
  target: object,
  keys: readonly PropertyKey[],
  model: (native: Native) => Native,
): void {
  for (const key of keys) {
    const native = Reflect.getOwnPropertyDescriptor(target, key);
    const getter = native?.get as Native | undefined;
    if (getter === undefined) continue;
    const get = like(getter, model(getter));
    const descriptor = { ...native!, get };
    getters.push({ target, key, native: native!, model: descriptor, isValue: false });
  }
}

/** Gives a function the name and the length of another. */
function like<T>(native: unknown, model: T): T {
  if (typeof native === "function" && typeof model === "function") {
    for (const key of ["length", "name"] as const) {
      const descriptor = Reflect.getOwnPropertyDescriptor(native, key);
      if (descriptor !== undefined && model[key] !== descriptor.value) {
        Reflect.defineProperty(model, key, descriptor);
      }
    }
  }
  return model;
}

/** Replaces every property but getters. */
export function installReplacements(): void {
  areInstalled = true;
  for (const replacement of replacements) put(replacement, true);
}

/** Restores every property. */
export function uninstallReplacements(): void {
  areInstalled = false;
  for (const replacement of replacements) put(replacement, false);
  if (!areGettersReplaced) return;
  areGettersReplaced = false;
  for (const getter of getters) put(getter, false);
}
