/**
 * Makes Node on Linux refuse what it refuses on Windows with NTFS, for tests: loaded by --require, in every process and worker
 * thread. Nothing becomes possible that was not; these rules are added:
 *
 * - There is no /proc/self/fd.
 * - A directory cannot be renamed while this process holds anything below it open, nor over anything that exists.
 * - A file cannot be renamed over a read-only file, over one that is open, or over a directory.
 * - A mode is read-only or not: 0444 or 0666. A directory has none that could be set through a descriptor.
 * - Times and flushes need a descriptor that may write, so a directory takes neither.
 * - Removing a name of a read-only file makes the file writable under its other names, as on file systems that cannot ignore the
 *   attribute.
 *
 * Sources: the documentation of MoveFileEx, SetFileInformationByHandle and FlushFileBuffers, and libuv's src/win/fs.c.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const LOADED = Symbol.for('filesync.windows-rules')
const OWNER_WRITES = 0o200
const ACCESS_MODE = 3

const real = { ...fs }

function refusal (call, path) {
  const message = `EPERM: operation not permitted, ${call} '${String(path)}'`
  return Object.assign(new Error(message), { code: 'EPERM', syscall: call, errno: -1, path })
}

/** Whether a descriptor of this process leads to a path, or below it. */
function isHeld (path, how) {
  return real.readdirSync('/proc/self/fd').some(fd => {
    try {
      const held = real.readlinkSync(`/proc/self/fd/${fd}`)
      return how === 'itself' ? held === path : held.startsWith(`${path}/`)
    } catch {
      return false
    }
  })
}

function mayWrite (fd) {
  const flags = /flags:\s*(\d+)/u.exec(real.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0'
  return (Number.parseInt(flags, 8) & ACCESS_MODE) !== 0
}

function renameSync (from, to) {
  const moved = real.lstatSync(from)
  const taken = real.lstatSync(to, { throwIfNoEntry: false })
  if (moved.isDirectory()) {
    if (taken !== undefined || isHeld(real.realpathSync(from), 'below')) throw refusal('rename', from)
  } else if (taken !== undefined) {
    const isReadOnly = taken.isFile() && (taken.mode & OWNER_WRITES) === 0
    if (taken.isDirectory() || isReadOnly || isHeld(real.realpathSync(to), 'itself')) throw refusal('rename', from)
  }
  real.renameSync(from, to)
}

function fchmodSync (fd, mode) {
  if (real.fstatSync(fd).isDirectory()) throw refusal('fchmod', fd)
  real.fchmodSync(fd, (mode & OWNER_WRITES) === 0 ? 0o444 : 0o666)
}

function chmodSync (path, mode) {
  if (real.statSync(path).isDirectory()) return
  real.chmodSync(path, (mode & OWNER_WRITES) === 0 ? 0o444 : 0o666)
}

function futimesSync (fd, atime, mtime) {
  if (!mayWrite(fd)) throw refusal('futime', fd)
  real.futimesSync(fd, atime, mtime)
}

function fsyncSync (fd) {
  if (!mayWrite(fd)) throw refusal('fsync', fd)
  real.fsyncSync(fd)
}

function unlinkSync (path) {
  const { mode } = real.lstatSync(path)
  if ((mode & OWNER_WRITES) === 0) real.chmodSync(path, 0o666)
  real.unlinkSync(path)
}

function openSync (path, flags, mode) {
  return real.openSync(path, flags, mode === undefined ? undefined : (mode & OWNER_WRITES) === 0 ? 0o444 : 0o666)
}

if (globalThis[LOADED] !== true) {
  globalThis[LOADED] = true
  Object.assign(fs, {
    renameSync, fchmodSync, chmodSync, futimesSync, fsyncSync, openSync, unlinkSync,
    existsSync: path => String(path) !== '/proc/self/fd' && real.existsSync(path)
  })
  syncBuiltinESMExports()
}
