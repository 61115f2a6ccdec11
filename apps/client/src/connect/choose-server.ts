import { findPinned } from '@filesync/identity'
import type { DeviceId, PinnedServer } from '@filesync/identity'
import { FileSyncError } from '@filesync/protocol'

/** What decides where a directory is pushed. */
export interface ServerChoice {
  /** The directory that is pushed. */
  readonly root: string
  /** The server that earlier pushes of the directory went to. */
  readonly home: DeviceId | undefined
  /** The name or full id that the user gave for this run. */
  readonly named: string | undefined
  /** Whether the user gave an address, which is a choice as well. */
  readonly isAddressGiven: boolean
}

/**
 * The paired servers that a directory may be pushed to: one, or all if an address decides. A directory stays with the server of
 * its first push, so that it is not scattered over several servers, each of them incomplete. Throws USAGE if several servers are
 * paired and nothing chooses between them.
 */
export function chooseServers (pinned: readonly PinnedServer[], choice: ServerChoice): readonly PinnedServer[] {
  const { root, home, named, isAddressGiven } = choice
  if (named !== undefined) return [findPinned(pinned, named)]
  if (isAddressGiven || pinned.length <= 1) return pinned
  const known = pinned.filter(({ id }) => id === home)
  if (known.length > 0) return known
  const names = pinned.map(({ name }) => name).join(', ')
  throw new FileSyncError('USAGE', `This client is paired with ${pinned.length} servers (${names}), ` +
    `and ${root} has not been pushed to any of them yet. Choose one with --server-name NAME; later runs remember it.`)
}
