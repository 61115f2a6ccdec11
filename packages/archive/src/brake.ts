import { FileSyncError } from '@filesync/protocol'

/** So many files may always vanish in one sync. */
export const BRAKE_FILES = 100
/** And so large a part of what is stored. */
export const BRAKE_SHARE = 0.5

/** Whether so many of so many files may not vanish in one sync: an unmounted disk or an emptied folder looks like that. */
export function brakeHolds (vanishing: number, stored: number): boolean {
  return vanishing > Math.max(BRAKE_FILES, stored * BRAKE_SHARE)
}

/** The error that tells the client and the operator what happened and what to do. */
export function halted (area: string, vanishing: number, stored: number): FileSyncError {
  return new FileSyncError('HALTED', `${String(vanishing)} of ${String(stored)} files of ${JSON.stringify(area)} would vanish from the archive in one sync, ` +
    'so nothing was changed. If that is right, release it on the server ' +
    `("filesync-server release ${area}") and sync again; if not, look whether the client's directory is complete.`)
}
