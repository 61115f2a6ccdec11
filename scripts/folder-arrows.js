import { dirname, join, relative, sep } from 'node:path'

/**
 * Which folders of a package's src the files of a folder may import from, beside their own. A name that starts with ./ is a
 * module of src itself. No arrow runs back, so each folder can be read without those that build on it.
 */
export const ARROWS = {
  'packages/archive': {
    store: [],
    history: ['store', './archive'],
    compare: ['store', './archive', './sync-contract'],
    upkeep: ['store', 'history', './archive', './past-tree', './sync-contract'],
    commit: ['store', 'history', 'compare', 'upkeep', './archive', './sync-contract'],
    adopt: ['store', './archive', './sync-contract'],
    node: ['store', 'upkeep', './archive', './stored-archive'],
    testing: ['store', 'history', './archive', './stored-archive']
  },
  'packages/discovery': {
    'dns-sd': ['./address', './datagram-bus', './fault-report', './link', './read-bus', './reply-policy'],
    node: ['.', 'dns-sd'],
    testing: ['.']
  },
  'packages/protocol': {
    '.': [],
    encoding: ['.'],
    listing: ['.', 'encoding'],
    wire: ['.', 'encoding', 'listing'],
    legacy: ['.', 'wire'],
    node: ['.', 'wire'],
    testing: ['.', 'wire', 'listing']
  },
  'apps/server': {
    schedule: ['./settings', './software'],
    restore: ['schedule', './settings', './software'],
    session: ['restore', 'schedule', './settings', './software'],
    archive: ['./settings', './software'],
    status: ['archive', 'schedule', 'session', './settings', './software'],
    peers: ['archive', 'status', './settings', './software'],
    legacy: ['schedule', './settings', './software'],
    commands: ['archive', 'legacy', 'peers', 'schedule', 'session', 'status', './server', './settings', './software']
  },
  'apps/client': {
    connect: ['./settings', './software'],
    folders: ['./folder'],
    push: ['connect', 'folders', './folder', './settings', './software'],
    status: ['connect', 'folders', 'push', './settings', './software'],
    safe: ['connect', './settings', './software'],
    restore: ['connect', './settings', './software'],
    legacy: ['connect', 'push', 'status', './settings', './software'],
    commands: ['connect', 'folders', 'legacy', 'push', 'restore', 'safe', 'status', './push-client', './settings', './software']
  }
}

/** Reports an import of a folder that is not among those of the importing one. */
export const folderArrows = {
  create: context => {
    const [area, name, source, ...place] = relative(context.cwd, context.filename).split(sep)
    const arrows = ARROWS[`${area}/${name}`]
    if (arrows === undefined || source !== 'src') return {}
    const own = place.length === 1 ? '.' : place[0]
    const allowed = arrows[own]
    // The doors, and in most packages the modules that put the folders together.
    if (place.at(-1) === 'index.ts' || (own === '.' && allowed === undefined)) return {}
    const check = node => {
      if (!node.source?.value.startsWith('.')) return
      const target = relative(join(context.cwd, area, name, source), join(dirname(context.filename), node.source.value)).split(sep)
      const to = target.length === 1 ? `./${target[0].replace(/\.ts$/, '')}` : target[0]
      const isAllowed = to === own || allowed?.includes(to) || (target.length === 1 && (own === '.' || allowed?.includes('.')))
      if (!isAllowed) context.report({ node, message: `${own}/ may not import from ${to}; scripts/folder-arrows.js says what it may.` })
    }
    return { ImportDeclaration: check, ExportNamedDeclaration: check }
  }
}
