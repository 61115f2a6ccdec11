import { findPinned } from '@filesync/identity'
import type { DeviceId, PinnedServer } from '@filesync/identity'
import { FileSyncError } from '@filesync/protocol'

/** What is known of where a directory goes. */
export interface ServerChoice {
  /** The directory that is pushed. */
  readonly root: string
  /** The server that it goes to since an earlier push. */
  readonly home: DeviceId | undefined
  /** The name or full id that the user gave for this run. */
  readonly named: string | undefined
  /** Whether the user gave the address of the server: that is a choice as well. */
  readonly isAddressGiven: boolean
}

/**
 * The paired servers that a directory may go to: one, or several where an address decides. A directory stays with the server
 * of its first push, so that its pushes are not scattered between servers of which each lacks what the other got. Throws
 * USAGE where several are paired and nothing tells which is meant.
 */
export function chooseServers (pinned: readonly PinnedServer[], choice: ServerChoice): readonly PinnedServer[] {
  const { root, home, named, isAddressGiven } = choice
  if (named !== undefined) return [findPinned(pinned, named)]
  if (isAddressGiven || pinned.length <= 1) return pinned
  const known = pinned.filter(({ id }) => id === home)
  if (known.length > 0) return known
  const names = pinned.map(({ name }) => name).join(', ')
  throw new FileSyncError('USAGE', `This client is paired with ${pinned.length} servers (${names}), and ${root} was not pushed to one of them yet. ` +
    'Say where it goes with --server-name NAME; later runs remember it.')
}
