import * as fs from 'node:fs'
import { errnoOf } from '@filesync/protocol'

const FUSE = 0x6573_5546
/** FUSE; CIFS, also as SMB 2 and 3; 9p; shared folders of VirtualBox; eCryptfs: Linux has no `sync_fs` operation for them. */
const RELAYING = new Set([FUSE, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x786f_4256, 0xf15f])

/**
 * Whether a directory is on a file system that passes writes on to another program or machine, so that syncfs(2) returns before that
 * one has flushed them. The kernel passes syncfs on to virtiofs alone, which cannot be told from other FUSE file systems.
 */
export function relaysFlushes (prefix: string): boolean {
  return process.platform === 'linux' && RELAYING.has(fs.statfsSync(prefix).type)
}

/** Whether a directory is on a file system in user space. */
export function isFuse (prefix: string): boolean {
  return process.platform === 'linux' && fileSystemType(prefix) === FUSE
}

/** The type of a file system, as numbered by statfs(2) of Linux. */
export function fileSystemType (prefix: string): number {
  return fs.statfsSync(prefix).type
}

/** The mount table of Linux; empty on other systems. */
export function mountInfo (): string {
  try {
    return fs.readFileSync('/proc/self/mountinfo', 'utf8')
  } catch {
    return ''
  }
}

/** A path with every link and drive letter resolved, as Windows names it: a path on a share begins with two backslashes. */
export function nativePath (path: string): string {
  return fs.realpathSync.native(path)
}

/** Whether a directory is on a file system that is mounted read-only. */
export function isReadOnly (prefix: string): boolean {
  try {
    fs.accessSync(prefix, fs.constants.W_OK)
    return false
  } catch (error) {
    return errnoOf(error) === 'EROFS'
  }
}

/** Room on the file system, for a user without privileges. */
export function roomOf (root: string): { readonly freeBytes: number, readonly totalBytes: number } {
  const { bavail, blocks, bsize } = fs.statfsSync(root)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}

/** Makes a new directory outside the archive that only this user can access. */
export function makeScratch (below: string): string {
  return fs.mkdtempSync(`${below}/filesync-index-`)
}

export function removeScratch (directory: string): void {
  fs.rmSync(directory, { recursive: true, force: true })
}
