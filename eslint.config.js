import { builtinModules } from 'node:module'
import { relative, sep } from 'node:path'
import js from '@eslint/js'
import stylistic from '@stylistic/eslint-plugin'
import { defineConfig } from 'eslint/config'
import tseslint from 'typescript-eslint'
import { folderArrows } from './scripts/folder-arrows.js'

const middle = ['archive', 'discovery', 'identity', 'scanner', 'transfer']
const packages = ['protocol', ...middle, 'program']

const deep = {
  regex: `^(@filesync/[^/]+/(src|dist)|(\\.\\./){3}|(\\.\\./)+(packages/|apps/|(${packages.join('|')})/src/))`,
  message: 'Import the package by its public entry point.'
}
const node = { regex: '^node:', message: 'Only src/node/ may touch Node. Take a port instead.' }
const disk = {
  regex: '^(node:)?fs(/|$)',
  message: 'Only beneath.ts, disk.ts, disk-async.ts and file-system.ts in src/node touch the archive.'
}
const door = { regex: '^\\.{1,2}/(.*/)?index\\.(ts|js)$', message: 'Import the module itself, not the door.' }
const codecOnly = { name: 'msgpackr', message: 'Only packages/protocol/src/encoding/codec.ts knows the encoding.' }
const unprefixed = builtinModules
  .filter(name => !name.startsWith('_') && !name.startsWith('node:'))
  .map(name => ({ name, message: `Write node:${name}.` }))
const neighbor = own => ({
  regex: `^@filesync/(?!(protocol|${own})(/|$))`,
  message: 'A package knows no FileSync package but @filesync/protocol.'
})

// A later block replaces the whole rule, so each block names everything it forbids.
const imports = (patterns, paths = [codecOnly]) => ({
  'no-restricted-imports': ['error', { paths: [...unprefixed, ...paths], patterns }]
})

const boundaries = packages.flatMap(name => {
  const src = `packages/${name}/src`
  const everywhere = [deep, neighbor(name)]
  const inside = [...everywhere, door]
  return [
    { files: [`packages/${name}/**/*.ts`], rules: imports(everywhere) },
    { files: [`${src}/**/*.ts`], rules: imports([...inside, node]) },
    { files: [`${src}/node/**/*.ts`], rules: imports(name === 'archive' ? [...inside, disk] : inside) },
    ...name === 'archive' ? [{ files: [`${src}/node/{beneath,disk,disk-async,file-system}.ts`], rules: imports(inside) }] : [],
    ...name === 'program' ? [{ files: [`${src}/testing/**/*.ts`], rules: imports(inside) }] : [],
    ...name === 'protocol' ? [{ files: [`${src}/encoding/{codec,msgpackr-pack.d}.ts`], rules: imports([...inside, node], []) }] : []
  ]
})

const drawer = /^(utils?|helpers?|common|shared|misc|managers?|handlers?|services?)$|-(utils?|helpers?|manager|handler|service)$/i
const names = {
  rules: {
    'folder-arrows': folderArrows,
    'no-drawers': {
      create: context => ({
        Program: node => {
          const found = relative(context.cwd, context.filename).split(sep).map(part => part.split('.')[0]).find(part => drawer.test(part))
          if (found !== undefined) context.report({ node, message: `Name the concept: "${found}" holds anything.` })
        }
      })
    }
  }
}

export default defineConfig(
  { ignores: ['**/dist/**', '**/node_modules/**', '**/.turbo/**', '**/coverage/**'] },
  js.configs.recommended,
  {
    files: ['**/*.{js,ts}'],
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    plugins: { names, style: stylistic },
    rules: {
      'names/no-drawers': 'error',
      'names/folder-arrows': 'error',
      eqeqeq: 'error',
      'no-restricted-syntax': ['error', { selector: 'ExportAllDeclaration', message: 'Name what you export.' }],
      'style/indent': ['error', 2],
      'style/quotes': ['error', 'single', { avoidEscape: true }],
      'style/semi': ['error', 'never'],
      'style/member-delimiter-style': ['error', { multiline: { delimiter: 'none' }, singleline: { delimiter: 'comma' } }],
      'style/arrow-spacing': 'error',
      'style/comma-dangle': ['error', 'only-multiline'],
      'style/comma-spacing': 'error',
      'style/eol-last': 'error',
      'style/keyword-spacing': 'error',
      'style/no-multiple-empty-lines': ['error', { max: 1, maxBOF: 0, maxEOF: 0 }],
      'style/no-trailing-spaces': 'error',
      'style/object-curly-spacing': ['error', 'always'],
      'style/space-before-blocks': 'error',
      'style/space-infix-ops': 'error',
      'style/type-annotation-spacing': 'error'
    }
  },
  { files: ['**/*.js'], languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly', Buffer: 'readonly' } } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      ...imports([deep]),
      'no-restricted-exports': ['error', {
        restrictDefaultExports: { direct: true, named: true, defaultFrom: true, namedFrom: true, namespaceFrom: true }
      }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }],
      '@typescript-eslint/only-throw-error': 'error',
      // Memory twins and port implementations are async because the port is.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error'
    }
  },
  {
    files: ['{packages,apps}/*/src/**/*.ts'],
    rules: {
      'max-params': ['error', 3],
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }]
    }
  },
  { files: ['packages/*/src/**/*.ts'], rules: { 'no-console': 'error' } },
  {
    files: ['packages/*/src/**/*.ts'],
    ignores: ['**/src/node/**'],
    rules: {
      'no-restricted-globals': ['error', 'Buffer', 'Date', '__dirname', '__filename', 'clearImmediate', 'clearInterval', 'clearTimeout',
        'console', 'fetch', 'global', 'performance', 'process', 'setImmediate', 'setInterval', 'setTimeout']
    }
  },
  ...boundaries,
  { files: ['**/*.config.{js,ts}'], rules: { 'no-restricted-exports': 'off', 'no-restricted-imports': 'off' } }
)
