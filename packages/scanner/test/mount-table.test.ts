import type { RelativePath } from '@filesync/protocol'
import { expect, test } from 'vitest'
import { changedMounts, parseMountTable } from '../src/mount-table.ts'

const TEXT = `\
22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
23 22 0:21 / /home/u/tmp rw - tmpfs tmpfs rw
30 22 8:17 / /home/u/my\\040usb\\134 rw master:7 - vfat /dev/sdb1 rw
35 22 8:18 / /home/u/tab\\011 rw - vfat /dev/sdb2 rw
31 22 8:2 /srv/data /home/u/bound rw - ext4 /dev/sda2 rw
32 22 8:2 / /home/user2/x rw - ext4 /dev/sda2 rw
33 23 0:40 / /home/u/tmp rw - tmpfs other rw
34 22 8:33 / /home/u rw - ext4 /dev/sdc1 rw
`

test('mount points below a directory are found, with names that have spaces, and the last one on a directory counts', () => {
  // A name with a control character is never listed.
  expect([...parseMountTable(TEXT, '/home/u')]).toEqual([
    ['tmp', '33 0:40 /'], ['my usb\\', '30 8:17 /'], ['bound', '31 8:2 /srv/data'], ['', '34 8:33 /'],
  ])
  expect([...parseMountTable(TEXT, '/').keys()]).toContain('home/user2/x')
})

test('a mount that was replaced, added or removed is a change', () => {
  const before = new Map([['same', '1'], ['other', '2'], ['gone', '3']]) as Map<RelativePath, string>
  const now = new Map([['same', '1'], ['other', '9'], ['fresh', '4']]) as Map<RelativePath, string>
  expect(changedMounts(before, now)).toEqual(['other', 'gone', 'fresh'])
  expect(changedMounts(now, now)).toEqual([])
})
