import { FileSyncError, splitFolder } from '@filesync/protocol'
import type { AreaRecord } from '../store/archive-index.ts'
import type { ContentStore, EntryPosition } from '../store/content-store.ts'
import type { Plan } from './plan.ts'
import type { Displaced } from './comparison.ts'
import type { MirrorCount } from './mirror-count.ts'
import type { ScopeRules } from './scope.ts'
import type { RememberedArea } from './unfinished.ts'
import { withoutEntries, withoutFailures } from '../store/section.ts'
import type { Section } from '../store/section.ts'

/** This many files may always be removed or spoiled in one sync. */
export const BRAKE_FILES = 100
/** And this share of the stored files. */
const BRAKE_SHARE = 0.5

/** Why the brake holds. */
export type Halt = NonNullable<AreaRecord['halted']>

/** Whether one sync may not remove this many of the stored files: an unmounted disk, an emptied directory or ransomware looks like that. */
function brakeHolds (files: number, stored: number): boolean {
  return files > Math.max(BRAKE_FILES, stored * BRAKE_SHARE)
}

/** The error that tells the client and the operator what happened, and what to do. */
export function halted (area: string, { vanishing, spoiled = 0, of, folder }: Halt): FileSyncError {
  const release = `If that is intended, run "filesync-server release ${area}" on the server and sync again.`
  const name = JSON.stringify(folder === undefined ? area : `${area}/${folder}`)
  if (spoiled === 0) {
    return new FileSyncError('HALTED', `${String(vanishing)} of ${String(of)} files of ${name} would vanish from the archive in one ` +
      `sync, so none of them was removed. ${release} Otherwise check that the client's folder is complete.`)
  }
  const vanish = vanishing === 0 ? '' : `${String(vanishing)} would vanish, and `
  return new FileSyncError('HALTED', `Of ${String(of)} files of ${name}, ${vanish}at least ${String(spoiled)} would be replaced by ` +
    `content that looks encrypted, in one sync, so none of these was changed. ${release} Otherwise find what encrypts files on the client.`)
}

/** What an area remembers of the brake. */
export type BrakeState = Pick<AreaRecord, 'halted' | 'released' | 'releasedFor'>

export interface BrakeEnd {
  /** Why the brake held in this sync. */
  readonly halt: Halt | undefined
  /** Whether the sync did all that it planned. */
  readonly isComplete: boolean
}

/** Whether the operator lets a sync pass. A release is for the folders that were held then. */
export function isReleased ({ released, releasedFor }: AreaRecord, rules: ScopeRules): boolean {
  return released === true && (releasedFor === undefined || releasedFor.some(folder => rules.covers(folder)))
}

/**
 * What is remembered when a sync ends. A completed sync uses up the release it began with, but not one that was made while it ran, nor one
 * for folders that it did not concern. Likewise it ends a halt of its own folders only.
 */
export function brakeAfter (
  { index, area, record, rules }: RememberedArea & { readonly rules: ScopeRules }, { halt, isComplete: isOver }: BrakeEnd,
): BrakeState {
  const { released, releasedFor } = index.area(area) ?? {}
  if (released === true && !(isOver && isReleased(record, rules))) {
    if (releasedFor === undefined) return { released }
    const isOther = halt?.folders?.every(folder => !releasedFor.includes(folder)) === true
    return { released, releasedFor, ...(isOther && { halted: halt }) }
  }
  const halted = isOver ? remainingHalt(record.halted, rules) : halt ?? record.halted
  return halted === undefined ? {} : { halted }
}

function remainingHalt (halt: Halt | undefined, rules: ScopeRules): Halt | undefined {
  const folders = halt?.folders?.filter(folder => !rules.finishes(folder)) ?? []
  return halt === undefined || folders.length === 0 ? undefined : { ...halt, folders }
}

/** Files that leave, and what is known of where they leave from. */
export interface LeavingFiles {
  readonly leaving: readonly Displaced[]
  readonly mirror: MirrorCount
  readonly rules: ScopeRules
  readonly nowMs: () => number
}

/**
 * Why the brake holds because of the files that leave: too many of the mirror, or of one folder that the client lists. An unmounted disk
 * may be one small folder among large ones.
 */
export function judgeLeaving ({ leaving, mirror, rules, nowMs }: LeavingFiles): Halt | undefined {
  const vanishing = leaving.length
  if (vanishing <= BRAKE_FILES) return undefined
  const byFolder = new Map<string, number>()
  for (const { path } of leaving) {
    const folder = splitFolder(path).folder
    byFolder.set(folder, (byFolder.get(folder) ?? 0) + 1)
  }
  if (brakeHolds(vanishing, mirror.size.files)) {
    return { atMs: nowMs(), vanishing, of: mirror.size.files, ...(rules.hasFolders && { folders: [...byFolder.keys()] }) }
  }
  for (const [folder, count] of byFolder) {
    if (count <= BRAKE_FILES || !rules.isListed(folder)) continue
    const of = mirror.filesOf(folder)
    if (brakeHolds(count, of)) return { atMs: nowMs(), vanishing: count, of, folder, folders: [folder] }
  }
  return undefined
}

export interface PlanJudgment extends Omit<LeavingFiles, 'leaving'> {
  readonly area: string
  readonly store: ContentStore
  readonly staging: string
  readonly record: AreaRecord
  /** Root digest of the client's tree, in hexadecimal. */
  readonly tree: string
}

/** Whether a sync is halted before it begins, needs its content inspected, or (undefined) cannot trip the brake. */
export function judgePlan (
  init: PlanJudgment, { leaving, replacing }: Pick<Plan, 'leaving' | 'replacing'>,
): Halt | NoiseBrake | undefined {
  const vanishing = leaving.length
  const { record, tree, mirror, rules } = init
  if (vanishing + replacing <= BRAKE_FILES || isReleased(record, rules)) return undefined
  const tooMany = judgeLeaving({ ...init, leaving })
  const stored = mirror.size.files
  if (tooMany === undefined && !brakeHolds(vanishing + replacing, stored)) return undefined
  if (record.halted?.tree !== undefined && record.halted.tree === tree) return record.halted
  if (tooMany !== undefined) return tooMany
  return new NoiseBrake({ ...init, vanishing, replacing, stored, folders: rules.folders })
}

export interface NoiseBrakeInit {
  readonly area: string
  readonly store: Pick<ContentStore, 'findSpoiled'>
  readonly staging: string
  readonly nowMs: () => number
  /** How many files leave without other content at their path, and how many have their content replaced. */
  readonly vanishing: number
  readonly replacing: number
  readonly stored: number
  /** The folders that the sync may change; undefined if the area is one tree. */
  readonly folders?: readonly string[] | undefined
  /** Identifies the client's tree, so that its next sync is halted without sending everything again. */
  readonly tree: string
}

/**
 * Inspects staged content before it is placed, in a sync that could trip the brake. Files that would replace plain content with noise
 * (it looks encrypted) are held back until it is known that they are few: when the brake holds, none of them has replaced anything.
 */
export class NoiseBrake {
  readonly #init: NoiseBrakeInit
  /** The held-back sections of each batch. */
  #held: Section[][] = []
  #spoiled = 0
  /** Files whose content has not been inspected yet. */
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

  /** The sections of a batch that may be placed now. */
  async admit (sections: readonly Section[]): Promise<readonly Section[]> {
    const { area, store, staging, vanishing, stored } = this.#init
    // Too few are left to trip it.
    if (this.#halted === undefined && !brakeHolds(vanishing + this.#spoiled + this.#left, stored)) return sections
    const { replacing, spoiled } = await store.findSpoiled(area, staging, sections)
    this.#left -= replacing
    if (spoiled.length === 0) return sections
    this.#spoiled += spoiled.length
    if (brakeHolds(vanishing + this.#spoiled, stored)) this.#halt()
    else this.#held.push(onlyEntries(sections, spoiled))
    return withoutFailures(sections, spoiled)
  }

  /** What was held back and may be placed after all, batch by batch. */
  takeHeld (): Section[][] {
    return this.#held.splice(0)
  }

  #halt (): void {
    const { nowMs, vanishing, stored, tree, folders } = this.#init
    this.#held = []
    this.#halted ??= { atMs: nowMs(), vanishing, spoiled: this.#spoiled, of: stored, tree, ...(folders !== undefined && { folders }) }
  }
}

/** Yields until the brake holds: what is asked for after that would not be stored. */
export function * untilHalted<T> (items: Iterable<T>, brake: NoiseBrake): Generator<T, void, undefined> {
  for (const item of items) {
    if (brake.halted !== undefined) return
    yield item
  }
}

function onlyEntries (sections: readonly Section[], wanted: readonly EntryPosition[]): Section[] {
  return sections.flatMap((section, at) => {
    const kept = new Set(wanted.filter(place => place.section === at).map(({ entry }) => entry))
    if (kept.size === 0) return []
    const others = Array.from({ length: section.staged.length }, (_, i) => i).filter(i => !kept.has(i))
    return [withoutEntries(section, new Set(others))]
  })
}
