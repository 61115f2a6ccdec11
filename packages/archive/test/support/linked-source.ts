import { SourceTree } from './source-tree.ts'

/** Paths that are names of one file. */
export const NAMES: readonly string[] = ['a', 'd/b', 'd/c', 'd/e/f', 'z/g']

/** A source with names of one file. */
export class LinkedSource extends SourceTree {
  has (path: string): boolean {
    try {
      return this.at(path) !== undefined
    } catch {
      return false
    }
  }

  names (content: string | Uint8Array, paths: readonly string[] = NAMES): this {
    const [first = '', ...others] = paths
    this.write(first, content)
    for (const path of others) this.name(path, first)
    return this
  }

  /** Writes to the file, whose names all show it. */
  overwrite (path: string, content: string | Uint8Array): this {
    const file = this.at(path)
    const other = new SourceTree().write('x', content).at('x')
    if (file.kind !== 'file' || other.kind !== 'file') throw new Error(`${path} is not a file.`)
    Object.assign(file, { content: other.content, mtimeNs: file.mtimeNs + 1_000_000_000n })
    return this
  }

  /** Makes a name a file of its own, with the content and time that it had. */
  separate (path: string): this {
    const file = this.at(path)
    if (file.kind !== 'file') throw new Error(`${path} is not a file.`)
    this.write(path, file.content)
    const own = this.at(path)
    const { fileId } = this.write('own id', '').at('own id') as typeof file
    this.remove('own id')
    Object.assign(own, { mtimeNs: file.mtimeNs, mode: file.mode, fileId })
    return this
  }

  override write (path: string, content: string | Uint8Array, mode?: number): this {
    // As an editor does: another file takes the name.
    if (this.has(path)) this.remove(path)
    return super.write(path, content, mode)
  }
}
