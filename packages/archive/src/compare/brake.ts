import { FileSyncError } from '@filesync/protocol'
import type { AreaRecord, ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore, EntryPlace } from '../store/content-store.ts'
import type { Plan } from './plan.ts'
import type { StoredMirror } from './room.ts'
import { withoutEntries, withoutFailures } from '../store/section.ts'
import type { Section } from '../store/section.ts'

/** So many files may always vanish or be spoiled in one sync. */
export const BRAKE_FILES = 100
/** And so large a part of what is stored. */
export const BRAKE_SHARE = 0.5

/** What the brake holds for. */
export type Halt = NonNullable<AreaRecord['halted']>

/** Whether so many of so many files may not go in one sync: an unmounted disk, an emptied folder or ransomware looks like that. */
export function brakeHolds (files: number, stored: number): boolean {
  return files > Math.max(BRAKE_FILES, stored * BRAKE_SHARE)
}

/** The error that tells the client and the operator what happened and what to do. */
export function halted (area: string, { vanishing, spoiled = 0, of }: Halt): FileSyncError {
  const release = `release it on the server ("filesync-server release ${area}") and sync again`
  if (spoiled === 0) {
    return new FileSyncError('HALTED', `${String(vanishing)} of ${String(of)} files of ${JSON.stringify(area)} would vanish from the archive in one sync, ` +
      `so nothing was changed. If that is right, ${release}; if not, look whether the client's directory is complete.`)
  }
  const vanish = vanishing === 0 ? '' : `${String(vanishing)} would vanish, and `
  return new FileSyncError('HALTED', `Of ${String(of)} files of ${JSON.stringify(area)} ${vanish}${String(spoiled)} or more would be replaced by content that looks encrypted, ` +
    `in one sync, so none of these was changed. If that is right, ${release}; if not, look on the client for what encrypts files.`)
}

/** What an area remembers of the brake. */
export type BrakeState = Pick<AreaRecord, 'halted' | 'released'>

/** What is remembered when a sync ends. One that came to its end used up the release that it had, but not one that came meanwhile. */
export function brakeAfter ({ index, area, record }: { readonly index: ArchiveIndex, readonly area: string, readonly record: AreaRecord }, { halt, isOver }: { readonly halt: Halt | undefined, readonly isOver: boolean }): BrakeState {
  const isReleased = index.area(area)?.released === true
  if (isReleased && !(isOver && record.released === true)) return { released: true }
  const halted = isOver ? undefined : halt ?? record.halted
  return halted === undefined ? {} : { halted }
}

export interface PlanJudgement extends StoredMirror {
  readonly area: string
  readonly store: ContentStore
  readonly staging: string
  readonly record: AreaRecord
  /** Root digest of the client's tree, in hexadecimal. */
  readonly tree: string
  readonly nowMs: () => number
}

/** Whether a sync is halted before it begins, has to have its content looked at, or (undefined) cannot trip the brake. */
export function judgePlan (init: PlanJudgement, { leaving, replacing }: Pick<Plan, 'leaving' | 'replacing'>): Halt | NoiseBrake | undefined {
  const vanishing = leaving.length
  const { record, tree, nowMs, mirror } = init
  if (vanishing + replacing <= BRAKE_FILES || record.released === true) return undefined
  const stored = mirror.size.files
  if (!brakeHolds(vanishing + replacing, stored)) return undefined
  if (record.halted?.tree !== undefined && record.halted.tree === tree) return record.halted
  if (brakeHolds(vanishing, stored)) return { atMs: nowMs(), vanishing, of: stored }
  return new NoiseBrake({ ...init, vanishing, replacing, stored })
}

export interface NoiseBrakeInit {
  readonly area: string
  readonly store: Pick<ContentStore, 'findSpoiled'>
  readonly staging: string
  readonly nowMs: () => number
  /** Files that leave without another content at their path, and those whose content is replaced. */
  readonly vanishing: number
  readonly replacing: number
  readonly stored: number
  /** Names the client's tree, so that its next sync need not send all of it again to be halted. */
  readonly tree: string
}

/**
 * Looks at what is staged before it takes its place, in a sync that could trip the brake: files that are noise where plain
 * content stands are held back until it is known that they are few. So once the brake holds, none of them has replaced
 * anything.
 */
export class NoiseBrake {
  readonly #init: NoiseBrakeInit
  /** For each batch what of it is held back. */
  #held: Section[][] = []
  #spoiled = 0
  /** Files whose content is still to be judged. */
  #left: number
  #halted: Halt | undefined

  constructor (init: NoiseBrakeInit) {
    this.#init = init
    this.#left = init.replacing
  }

  /** Set once the brake holds. */
  get halted (): Halt | undefined {
    return this.#halted
  }

  /** What of a batch may take its place now. */
  async sift (sections: readonly Section[]): Promise<readonly Section[]> {
    const { area, store, staging, vanishing, stored } = this.#init
    // So few are left that they cannot trip it.
    if (this.#halted === undefined && !brakeHolds(vanishing + this.#spoiled + this.#left, stored)) return sections
    const { replacing, spoiled } = await store.findSpoiled(area, staging, sections)
    this.#left -= replacing
    if (spoiled.length === 0) return sections
    this.#spoiled += spoiled.length
    if (brakeHolds(vanishing + this.#spoiled, stored)) this.#halt()
    else this.#held.push(onlyEntries(sections, spoiled))
    return withoutFailures(sections, spoiled)
  }

  /** What was held back and may take its place after all, batch by batch. */
  takeHeld (): Section[][] {
    return this.#held.splice(0)
  }

  #halt (): void {
    const { nowMs, vanishing, stored, tree } = this.#init
    this.#held = []
    this.#halted ??= { atMs: nowMs(), vanishing, spoiled: this.#spoiled, of: stored, tree }
  }
}

/** Yields until the brake holds: what is asked for behind that would not be stored. */
export function * untilHalted<T> (items: Iterable<T>, brake: NoiseBrake): Generator<T, void, undefined> {
  for (const item of items) {
    if (brake.halted !== undefined) return
    yield item
  }
}

function onlyEntries (sections: readonly Section[], wanted: readonly EntryPlace[]): Section[] {
  return sections.flatMap((section, at) => {
    const kept = new Set(wanted.filter(place => place.section === at).map(({ entry }) => entry))
    if (kept.size === 0) return []
    const others = Array.from({ length: section.staged.length }, (_, i) => i).filter(i => !kept.has(i))
    return [withoutEntries(section, new Set(others))]
  })
}
