import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { SourceNode, SourceTree } from './source-tree.ts'

/** Describes everything in a folder, as lines with kind, mode, time and content. */
export function describeFolder (folder: string): string[] {
  const lines: string[] = []
  const visit = (path: string): void => {
    for (const name of readdirSync(join(folder, path)).sort()) {
      const at = path === '' ? name : `${path}/${name}`
      const stat = lstatSync(join(folder, at), { bigint: true })
      const when = String(stat.mtimeNs / 10_000n)
      const mode = (Number(stat.mode) & 0o777).toString(8)
      if (stat.isDirectory()) {
        lines.push(`${at}/ ${mode} ${when}`)
        visit(at)
      } else if (stat.isSymbolicLink()) {
        lines.push(`${at} -> ${readlinkSync(join(folder, at))}`)
      } else {
        lines.push(`${at} ${mode} ${when} ${readFileSync(join(folder, at)).toString('base64').slice(0, 200)} ${String(stat.size)}`)
      }
    }
  }
  visit('')
  return lines.sort()
}

/** What {@link describeFolder} returns for a copy of a source. Times are to ten microseconds, because Node sets them as doubles. */
export function describeSource (source: SourceTree): string[] {
  const lines: string[] = []
  const when = (mtimeNs: bigint): string => String(mtimeNs / 10_000n)
  const visit = (path: string, children: ReadonlyMap<string, SourceNode>): void => {
    for (const [name, node] of children) {
      const at = path === '' ? name : `${path}/${name}`
      if (node.kind === 'directory') {
        lines.push(`${at}/ ${node.mode.toString(8)} ${when(node.mtimeNs)}`)
        visit(at, node.children)
      } else if (node.kind === 'symlink') {
        lines.push(`${at} -> ${node.target}`)
      } else {
        const content = Buffer.from(node.content).toString('base64').slice(0, 200)
        lines.push(`${at} ${node.mode.toString(8)} ${when(node.mtimeNs)} ${content} ${String(node.content.length)}`)
      }
    }
  }
  visit('', source.root.children)
  return lines.sort()
}

export function versionsIn (root: string, area: string): string[] {
  const home = join(root, '.filesync/versions', area)
  if (!existsSync(home)) return []
  return describeFolder(home).filter(line => !/\/ \d+ \d+$/.test(line)).map(line => line.split(' ')[0]?.split('/').slice(1).join('/') ?? '')
}
