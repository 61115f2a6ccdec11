import { plainCutFinder } from '../gear.ts'
import type { CutFinder } from '../gear.ts'

export function createCutFinder (averageBits: number): CutFinder {
  return plainCutFinder(averageBits)
}
