/**
 * Where views find the record that they are at.
 *
 * The properties of a view are the fields of its record. So its own have names that are no
 * identifiers, such as "#at", which V8 treats as any others; private and symbol-keyed ones cost
 * more once there are several records.
 *
 * They are declared and not initialised, so that each is assigned once, in a constructor. V8 then
 * takes those that never change for constants of a view that is one itself, such as a `const` of a
 * module. This makes an access through a view nearly as cheap as one through a typed array.
 *
 * @module
 */

/** A view of a record. */
export interface Placed {
  /** The bytes of the target. */
  readonly "#bytes": DataView;
  /** Where in the target the present record begins. */
  readonly "#at": number;
}

/** Where the view of a field finds it: in the present record of a view. */
export class Place {
  /** The bytes of the target. */
  declare readonly bytes: DataView;
  /** The name of the field, for errors. */
  declare readonly path: string;
  /** The view of the record. */
  declare readonly record: Placed;
  /** Where in the record the field begins. */
  declare readonly offset: number;

  constructor(record: Placed, offset: number, path: string) {
    this.bytes = record["#bytes"];
    this.path = path;
    this.record = record;
    this.offset = offset;
  }

  /** Where in the target the field begins. */
  get start(): number {
    return this.record["#at"] + this.offset;
  }
}
