import { cpSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { linuxNetworkKind, macNetworkKind } from '../src/node/network-disk.ts'
import { mayMountImages, run } from './support/disks.ts'
import { newArchive, newFolder } from './support/on-disk.ts'
import { push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const FUSE = 0x6573_5546
const MOUNTS = [
  '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
  '40 22 0:51 / /mnt/pool rw,relatime shared:20 - fuse.mergerfs a:b rw,user_id=0',
  '41 22 0:52 / /mnt/far rw,nosuid master:1 shared:21 - fuse.sshfs host:/srv rw,user_id=0',
  '42 22 7:300 / /mnt/ntfs rw - fuseblk /dev/loop1 rw',
  '',
].join('\n')

test.each([
  [0x6969, 0x33n, 'NFS'],
  [0xff53_4d42, 0x33n, 'SMB (CIFS)'],
  [0xfe53_4d42 | 0, 0x33n, 'SMB'],
  [0x0102_1997, 0x33n, '9P'],
  [FUSE, 0x34n, 'sshfs'],
  [FUSE, 0x33n, undefined],
  [FUSE, 0x99n, undefined],
  [FUSE, (7n << 8n) | (300n & 0xffn) | (300n >> 8n << 20n), undefined],
  [0xef53, 0x801n, undefined],
  [0x0102_1994, 0x801n, undefined],
  [0x9123_683e, 0x33n, undefined],
] as const)('on Linux type %i of device %i is %s', (type, device, kind) => {
  expect(linuxNetworkKind({ type, device, mountInfo: MOUNTS })).toBe(kind)
})

test.each([
  ['/Volumes/share/archive', 'smbfs'],
  ['/Volumes/share', 'smbfs'],
  ['/Volumes/share two', undefined],
  ['/Volumes/nas (1)/a', 'nfs'],
  ['/Users/me/archive', undefined],
])('on macOS %s is on %s', (path, kind) => {
  const mounts = [
    '/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)',
    '//me@nas._smb._tcp.local/share on /Volumes/share (smbfs, nodev, nosuid, mounted by me)',
    'nas:/export on /Volumes/nas (1) (nfs, nodev, nosuid)',
    '',
  ].join('\n')
  expect(macNetworkKind(mounts, path)).toBe(kind)
})

/** Mounts a directory a second time through FUSE, under the name of a program for remote files, or none. */
function mountFuse (from: string, program: string | undefined): string | undefined {
  const at = newFolder()
  if (!run('bindfs', [...program === undefined ? [] : ['-o', `subtype=${program}`], from, at])) return undefined
  onTestFinished(() => { run('umount', ['-l', at]) })
  return at
}

// Mounting by FUSE takes root or fusermount, and bindfs, which few systems have.
test.runIf(mayMountImages)('an archive on a network file system is refused with advice, but used if allowed', async ({ skip }) => {
  const root = newFolder()
  const at = mountFuse(root, 'sshfs')
  if (at === undefined) return skip('bindfs is not installed, or may not mount here.')
  await expect(newArchive({ root: at })).rejects.toMatchObject({
    code: 'ARCHIVE_UNAVAILABLE',
    message: expect.stringMatching(/\(sshfs\).*--allow-network-disk/u) as unknown,
  })
  const archive = await newArchive({ root: at, allowNetworkDisk: true })
  expect((await push(await archive.area('laptop'), new SourceTree().write('a', 'a'))).problems).toEqual([])
  await archive.close()
})

test.runIf(mayMountImages)('an archive on a local FUSE file system is used and locked', async ({ skip }) => {
  const at = mountFuse(newFolder(), undefined)
  if (at === undefined) return skip('bindfs is not installed, or may not mount here.')
  const archive = await newArchive({ root: at })
  expect((await push(await archive.area('laptop'), new SourceTree().write('a', 'a'))).problems).toEqual([])
  await expect(newArchive({ root: at })).rejects.toMatchObject({ code: 'STATE_IN_USE' })
  await archive.close()
})

test.runIf(mayMountImages)('an archive that is used through FUSE is also locked below it, and the other way round', async ({ skip }) => {
  const root = newFolder()
  const at = mountFuse(root, undefined)
  if (at === undefined) return skip('bindfs is not installed, or may not mount here.')
  for (const [first, second] of [[root, at], [at, root]] as const) {
    const archive = await newArchive({ root: first })
    await expect(newArchive({ root: second })).rejects.toMatchObject({ code: 'STATE_IN_USE' })
    await archive.close()
  }
  writeFileSync(join(root, '.filesync/holder'), 'what a power cut left, which is longer than a name')
  await (await newArchive({ root: at })).close()
})

test('a copy of an archive in use is another archive, and can be used at the same time', async () => {
  const root = newFolder()
  const archive = await newArchive({ root })
  await push(await archive.area('laptop'), new SourceTree().write('a', 'a'))
  const copy = join(newFolder(), 'copy')
  cpSync(root, copy, { recursive: true, preserveTimestamps: true })
  const second = await newArchive({ root: copy })
  expect(readdirSync(join(copy, '.filesync')).filter(name => name.startsWith('asked'))).toEqual([])
  await Promise.all([archive.close(), second.close()])
})
