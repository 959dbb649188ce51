/**
 * The region of a domain.
 *
 * @module
 */

import type { Region } from "../memory/region.ts";
import type { DomainLayout } from "./layout.ts";

/** The region of a domain. */
export type DomainRegion = Region<"busbar.domain", DomainLayout>;
