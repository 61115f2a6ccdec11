import { closeSync, constants, lstatSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { joinPath, pathNames, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { hasDescriptorPaths } from '@filesync/protocol/node'

/** Most open handles; more than the depth of any path, so that directories of one path never evict each other. */
const HANDLES_MAX = 256

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants

/** Directories of the source, reached without following a symbolic link below the root. */
export interface SourceDirectories {
  /** A prefix for paths of the entries of a directory. Throws the errors of open or lstat. */
  prefix (directory: RelativePath): string
  /** Closes all handles, so that moved directories are found and the disk can be unmounted. Returns whether any was open. */
  releaseHandles (): boolean
}

/** By open handles through /proc, which cannot be redirected; on systems without it, by checking each name first. */
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
    // The root itself may be a link that the user named.
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
 * For systems without /proc. Between the check and the call, anyone who may write to the source could still create a link,
 * so this is for sources that only their owner writes to.
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
      if (lstatSync(join(this.#root, path)).isDirectory()) continue
      throw Object.assign(new Error(`${path} is not a directory`), { code: 'ENOTDIR', syscall: 'lstat' })
    }
    return join(this.#root, path) + '/'
  }

  releaseHandles (): boolean {
    return false
  }
}
