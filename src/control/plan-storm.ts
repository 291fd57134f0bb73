/** The plan's part of storm control. As plan.ts says, plain data. */

/** Frames per second of each class that an AC may have flooded; 0: no limit of its own. */
export interface StormConfig {
  readonly broadcast: number;
  readonly unknownUnicast: number;
  readonly multicast: number;
}
