import { spawnSync } from 'node:child_process'
import { FileSyncError } from '@filesync/protocol'
import type { Beneath } from './beneath.ts'
import { statOf } from './disk.ts'
import { fileSystemType, mountInfo, nativePath } from './file-system.ts'

/** Types as returned by statfs(2), from linux/magic.h and the headers of file systems outside the kernel. */
const TYPES: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'], [0x517b, 'SMB'], [0xff53_4d42, 'SMB (CIFS)'], [0xfe53_4d42, 'SMB'], [0x0102_1997, '9P'], [0x00c3_6400, 'Ceph'],
  [0x5346_414f, 'AFS'], [0x6b41_4653, 'AFS'], [0x7375_7245, 'Coda'], [0x564c, 'NCP'], [0x0bd0_0bd0, 'Lustre'], [0x4750_4653, 'GPFS'],
  [0x7461_636f, 'OCFS2'], [0x0116_1970, 'GFS2'], [0x786f_4256, 'a VirtualBox shared folder'], [0xbacb_acbc, 'a VMware shared folder'],
  [0x7c7c_6673, 'a Parallels shared folder'],
])
/** FUSE itself is local; these programs give access to remote files. */
const FUSE_PROGRAMS: readonly string[] = [
  'sshfs', 'rclone', 's3fs', 'goofys', 'gcsfuse', 'blobfuse', 'blobfuse2', 'glusterfs', 'ceph-fuse', 'juicefs', 'JuiceFS', 'mfs',
  'davfs', 'davfs2', 'curlftpfs', 'smbnetfs', 'seaweedfs', 'SeaweedFS', 'google-drive-ocamlfuse', 'onedriver',
]
/** As mount(8) of macOS names them. */
const MAC_TYPES: readonly string[] = ['nfs', 'smbfs', 'afpfs', 'webdav', 'ftp', 'cifs']

/**
 * Throws ARCHIVE_UNAVAILABLE if the archive is on a file system that other machines may use at the same time. Its index is mapped into
 * memory, which such file systems do not keep consistent between machines, and not all of them share locks.
 */
export function ensureLocalDisk (beneath: Beneath): void {
  const kind = networkKind(beneath)
  if (kind === undefined) return
  throw new FileSyncError('ARCHIVE_UNAVAILABLE', `The archive ${beneath.root} is on a network file system (${kind}), ` +
    'where its index may be damaged and another machine may use it at the same time. ' +
    'Run the server on the machine that has the disk, or keep the archive on a local disk. ' +
    'If no other machine uses this archive, use it anyway with --allow-network-disk.')
}

function networkKind (beneath: Beneath): string | undefined {
  const prefix = beneath.open('')
  if (process.platform === 'linux') {
    return linuxNetworkKind({ type: fileSystemType(prefix), device: statOf(beneath.handle('')).device, mountInfo: mountInfo() })
  }
  if (process.platform === 'win32') return nativePath(beneath.root).startsWith('\\\\') ? 'a share' : undefined
  if (process.platform === 'darwin') return macNetworkKind(spawnSync('/sbin/mount', { encoding: 'utf8' }).stdout, beneath.root)
  return undefined
}

interface LinuxDisk {
  /** As returned by statfs(2). */
  readonly type: number
  /** As returned by stat(2). */
  readonly device: bigint
  /** The content of /proc/self/mountinfo, see proc_pid_mountinfo(5). */
  readonly mountInfo: string
}

/** The name of a network file system; undefined for any other. */
export function linuxNetworkKind ({ type, device, mountInfo }: LinuxDisk): string | undefined {
  const named = TYPES.get(type >>> 0)
  if (named !== undefined) return named
  // As packed by makedev(3) of glibc.
  const major = (device >> 8n & 0xfffn) | (device >> 32n & ~0xfffn)
  const minor = (device & 0xffn) | (device >> 12n & ~0xffn)
  const line = mountInfo.split('\n').find(text => text.split(' ')[2] === `${major}:${minor}`)
  const program = / - fuse(?:blk)?\.(\S+) /u.exec(line ?? '')?.[1]
  return program !== undefined && FUSE_PROGRAMS.includes(program) ? program : undefined
}

/** The name of a network file system; undefined for any other. @param mounts what mount(8) of macOS prints */
export function macNetworkKind (mounts: string, path: string): string | undefined {
  let [best, kind] = ['', '']
  for (const line of mounts.split('\n')) {
    const [, at, type] = / on (\/.*) \((\w+)[,)]/u.exec(line) ?? []
    if (at === undefined || type === undefined || at.length <= best.length) continue
    if (at === '/' || path === at || path.startsWith(`${at}/`)) [best, kind] = [at, type]
  }
  return MAC_TYPES.includes(kind) ? kind : undefined
}
