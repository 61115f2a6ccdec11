import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { SourceNode, SourceTree } from './source-tree.ts'

/** All that lies in a folder, as lines that tell kind, mode, time and content. */
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

/** What {@link describeFolder} would tell of a source, to ten microseconds, because disks get times through a double. */
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
        lines.push(`${at} ${node.mode.toString(8)} ${when(node.mtimeNs)} ${Buffer.from(node.content).toString('base64').slice(0, 200)} ${String(node.content.length)}`)
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
