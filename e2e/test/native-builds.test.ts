import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'

interface Lockfile {
  readonly packages: Readonly<
    Record<string, { readonly os?: readonly string[], readonly cpu?: readonly string[], readonly libc?: readonly string[] }>
  >
  readonly snapshots: Readonly<Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>>
}

interface Platform {
  readonly os: string
  readonly cpu: string
  readonly libc?: string
}

const PROMISED: readonly Platform[] = [
  ...['x64', 'arm64'].flatMap(cpu => ['glibc', 'musl'].map(libc => ({ os: 'linux', cpu, libc }))),
  ...['darwin', 'win32'].flatMap(os => ['x64', 'arm64'].map(cpu => ({ os, cpu })))
]

/** What lacks a build and works without it: the package, the platform, and the reason. */
const SUBSTITUTES: readonly (readonly [RegExp, RegExp])[] = [
  // An accelerator of the encoder, which does the same in JavaScript. FileSync never loads it.
  [/^msgpackr-extract@/u, /^(?:win32 arm64|linux .* musl)$/u]
]

const lockfile = parse(readFileSync(new URL('../../pnpm-lock.yaml', import.meta.url), 'utf8')) as Lockfile

/** The packages that come as one build for each platform: those with optional dependencies that name an operating system. */
function nativePackages (): (readonly [string, readonly string[]])[] {
  return Object.entries(lockfile.snapshots).flatMap(([name, { optionalDependencies }]) => {
    const builds = Object.entries(optionalDependencies ?? {}).map(([build, version]) => `${build}@${version}`)
      .filter(build => lockfile.packages[build]?.os !== undefined)
    return builds.length > 1 ? [[name, builds] as const] : []
  })
}

function runsOn (build: string, { os, cpu, libc }: Platform): boolean {
  const needs = lockfile.packages[build]
  return (
    needs?.os?.includes(os) === true &&
    needs.cpu?.includes(cpu) === true &&
    (needs.libc === undefined || libc === undefined || needs.libc.includes(libc))
  )
}

function isSubstituted (name: string, platform: string): boolean {
  return SUBSTITUTES.some(([names, platforms]) => names.test(name) && platforms.test(platform))
}

test('the native packages are those that are known to be', () => {
  const names = nativePackages().map(([name]) => name.replace(/(?<=.)@.*$/u, '')).sort()
  expect(names).toEqual(expect.arrayContaining(['@napi-rs/blake-hash', '@parcel/watcher', 'lmdb', 'rolldown', 'turbo']))
})

test.each(nativePackages())('%s has a build for each platform that FileSync promises', (name, builds) => {
  const lacking = PROMISED.filter(platform => !builds.some(build => runsOn(build, platform)))
    .map(platform => Object.values(platform).join(' ')).filter(platform => !isSubstituted(name, platform))
  expect(lacking).toEqual([])
})
