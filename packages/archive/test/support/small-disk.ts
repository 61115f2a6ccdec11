import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { newFolder } from './on-disk.ts'

/** Runs a tool of the system. */
export function run (tool: string, args: string[]): { status: number | null } {
  return spawnSync(tool, args)
}

function mount (at: string, sizeMib: number): boolean {
  return run('mount', ['-t', 'tmpfs', '-o', `size=${String(sizeMib)}m`, 'tmpfs', at]).status === 0
}

function unmount (at: string): void {
  run('umount', ['-l', at])
}

function mayMountHere (): boolean {
  const at = mkdtempSync(join(tmpdir(), 'filesync-archive-'))
  const isMounted = mount(at, 1)
  if (isMounted) unmount(at)
  rmdirSync(at)
  return isMounted
}

/** Mounts a new file system of a size, and returns its path. */
export function smallDisk (sizeMib: number): string {
  const at = newFolder()
  if (!mount(at, sizeMib)) throw new Error(`A file system can no longer be mounted at ${at}.`)
  onTestFinished(() => { unmount(at) })
  return at
}

/** Whether file systems may be mounted here; most containers do not allow it. */
export const mayMount: boolean = mayMountHere()
