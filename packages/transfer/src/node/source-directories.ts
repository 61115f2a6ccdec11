import { closeSync, constants, lstatSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { joinPath, pathNames, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { hasDescriptorPaths } from '@filesync/protocol/node'

/** Most open handles; more than the depth of any path, so that directories of one path never evict each other. */
const HANDLES_MAX = 256

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants

/** Absolute paths of the directories to read, by their paths in the tree: one under the empty path, or several below the root. */
type Roots = ReadonlyMap<string, string>

/** Directories of the source, reached without following a symbolic link below a root. */
export interface SourceDirectories {
  /** A prefix for paths of the entries of a directory. Throws the errors of open or lstat. */
  prefix (directory: RelativePath): string
  /** Closes all handles, so that moved directories are found and the disk can be unmounted. Returns whether any was open. */
  releaseHandles (): boolean
}

/** By open handles through /proc, which cannot be redirected; on systems without it, by checking each name first. */
export function sourceDirectories (roots: Roots): SourceDirectories {
  return hasDescriptorPaths() ? new HeldDirectories(roots) : new CheckedDirectories(roots)
}

class HeldDirectories implements SourceDirectories {
  readonly #roots: Roots
  readonly #handles = new Map<RelativePath, number>()

  constructor (roots: Roots) {
    this.#roots = roots
  }

  prefix (directory: RelativePath): string {
    return `/proc/self/fd/${String(this.#open(directory))}/`
  }

  releaseHandles (): boolean {
    const hasHeld = this.#handles.size > 0
    for (const fd of this.#handles.values()) closeSync(fd)
    this.#handles.clear()
    return hasHeld
  }

  #open (directory: RelativePath): number {
    const held = this.#handles.get(directory)
    if (held !== undefined) {
      // A Map iterates in the order of insertion, so the first is the least recently used.
      this.#handles.delete(directory)
      this.#handles.set(directory, held)
      return held
    }
    const fd = this.#openHandle(directory)
    this.#handles.set(directory, fd)
    this.#evict()
    return fd
  }

  #openHandle (directory: RelativePath): number {
    // A root itself may be a link that the user named.
    const root = this.#roots.get(directory)
    if (root !== undefined) return openSync(root, O_RDONLY | O_DIRECTORY)
    if (directory === ROOT_PATH) throw notDirectory(directory)
    const { directory: parent, name } = splitPath(directory)
    return openSync(this.prefix(parent) + name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  }

  #evict (): void {
    if (this.#handles.size <= HANDLES_MAX) return
    const [oldest] = this.#handles
    if (oldest === undefined) return
    this.#handles.delete(oldest[0])
    closeSync(oldest[1])
  }
}

/**
 * For systems without /proc. Between the check and the call, anyone who may write to the source could still create a link,
 * so this is for sources that only their owner writes to.
 */
export class CheckedDirectories implements SourceDirectories {
  readonly #roots: Roots

  constructor (roots: Roots) {
    this.#roots = roots
  }

  prefix (directory: RelativePath): string {
    let [path, location] = [ROOT_PATH, this.#roots.get(ROOT_PATH)]
    for (const name of pathNames(directory)) {
      path = joinPath(path, name)
      const root = this.#roots.get(path)
      location = root ?? (location === undefined ? undefined : join(location, name))
      if (location === undefined || (root === undefined && !lstatSync(location).isDirectory())) throw notDirectory(path)
    }
    if (location === undefined) throw notDirectory(directory)
    return location + '/'
  }

  releaseHandles (): boolean {
    return false
  }
}

function notDirectory (path: RelativePath): Error {
  return Object.assign(new Error(`${path} is not a directory`), { code: 'ENOTDIR', syscall: 'lstat' })
}
