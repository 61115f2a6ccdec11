import { closeSync, constants, lstatSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { joinPath, pathNames, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { hasDescriptorPaths } from '@filesync/protocol/node'

/** Held at once; deeper than any path, so that a path's own directories never push each other out. */
const HANDLES_MAX = 256

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants

/** Directories of the source, reached without following a symbolic link below the root. */
export interface SourceDirectories {
  /** A path for calls on the entries of a directory. Throws the errors of open or lstat. */
  prefix (directory: RelativePath): string
  /** Lets go of everything, so that what moved is found again and the disk can be unmounted. Returns whether anything was held. */
  release (): boolean
}

/** Below held handles where the system has /proc, which nobody can redirect; otherwise by looking at each name before. */
export function sourceDirectories (root: string): SourceDirectories {
  return hasDescriptorPaths() ? new HeldDirectories(root) : new CheckedDirectories(root)
}

class HeldDirectories implements SourceDirectories {
  readonly #root: string
  readonly #handles = new Map<RelativePath, number>()

  constructor (root: string) {
    this.#root = root
  }

  prefix (directory: RelativePath): string {
    return `/proc/self/fd/${String(this.#open(directory))}/`
  }

  release (): boolean {
    const hasHeld = this.#handles.size > 0
    for (const fd of this.#handles.values()) closeSync(fd)
    this.#handles.clear()
    return hasHeld
  }

  #open (directory: RelativePath): number {
    const held = this.#handles.get(directory)
    if (held !== undefined) {
      // The order of a Map is that of insertion, so the first is the one not used for longest.
      this.#handles.delete(directory)
      this.#handles.set(directory, held)
      return held
    }
    const fd = this.#openAnew(directory)
    this.#handles.set(directory, fd)
    this.#evict()
    return fd
  }

  #openAnew (directory: RelativePath): number {
    // The root itself may be a link: whoever named it meant what it leads to.
    if (directory === ROOT_PATH) return openSync(this.#root, O_RDONLY | O_DIRECTORY)
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
 * For systems without /proc. Between the look and the call somebody who may write to the source could still put a link in
 * place, so this is for sources that only their owner writes to.
 */
export class CheckedDirectories implements SourceDirectories {
  readonly #root: string

  constructor (root: string) {
    this.#root = root
  }

  prefix (directory: RelativePath): string {
    let path = ROOT_PATH
    for (const name of pathNames(directory)) {
      path = joinPath(path, name)
      if (!lstatSync(join(this.#root, path)).isDirectory()) throw Object.assign(new Error(`${path} is not a directory`), { code: 'ENOTDIR', syscall: 'lstat' })
    }
    return join(this.#root, path) + '/'
  }

  release (): boolean {
    return false
  }
}
