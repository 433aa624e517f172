// Looks at the page in a real Chromium: node look.mjs URL DIRECTORY CASE
// Prints one line for each check; the first that fails ends it with exit code 1.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const [url, directory, wanted] = process.argv.slice(2);
const PATIENCE = 60_000;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});

function check(what, isTrue, more = '') {
  if (!isTrue) throw new Error(`${what} ${more}`);
  console.log(`ok ${what}`);
}

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-GB', timezoneId: 'Asia/Shanghai', ...options });
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    // A request that fails is the case of a lost connection; everything else on the console is a fault.
    if (message.type() === 'error' && !message.text().includes('Failed to load resource') && !message.text().includes('ERR_')) faults.push(message.text());
  });
  page.on('dialog', (dialog) => faults.push(`a dialog: ${dialog.message()}`));
  page.setDefaultTimeout(PATIENCE);
  return { context, page, faults };
}

/** What axe calls serious. */
async function accessible(page, what) {
  // The page's own policy lets no script in: axe is run outside of it.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa'] }));
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  check(`${what} is accessible`, serious.length === 0, JSON.stringify(serious.map(({ id, nodes }) => [id, nodes.slice(0, 3).map(({ html, failureSummary }) => `${html} ${failureSummary}`)])));
}

const shot = (page, name) => page.screenshot({ path: `${directory}/${name}.png` });

const cases = {
  // Three fleets: every view, a hold, languages, sizes and schemes.
  async three() {
    const { page, faults } = await open({ bypassCSP: false });
    await page.goto(url);
    await page.waitForSelector('tr[data-fleet="web"]');
    await page.waitForFunction(() => document.getElementById('link').dataset.state === 'live');
    check('three fleets are shown', (await page.locator('tbody tr').count()) === 3);
    await page.waitForFunction(() => document.querySelector('tr[data-fleet="web"] .serves').textContent === '2');
    await page.keyboard.type('we');
    check('typing filters', (await page.locator('tbody tr').count()) === 1);
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.course canvas');
    check('Enter opens the fleet', (await page.locator('h1').textContent()) === 'web');
    await page.waitForSelector('.story .explain dd');
    check('it says why', (await page.locator('.story').textContent()).includes('cpu'));
    await page.waitForSelector('.instance.in_service');
    await page.click('#place-hold');
    await page.fill('dialog input[name=author]', 'mei');
    await page.fill('dialog input[name=reason]', '<img src=x onerror=alert(1)> import \u202erun');
    await page.click('dialog button.primary');
    await page.waitForSelector('dialog input[name=token]:visible');
    check('a change asks for a token', await page.locator('dialog .refused').textContent() !== '');
    await page.fill('dialog input[name=token]', 'wrong');
    await page.click('dialog button.primary');
    await page.waitForFunction(() => document.querySelector('dialog .refused').textContent.length > 0);
    check('a wrong token is refused', await page.locator('dialog[open]').count() === 1);
    await page.fill('dialog input[name=token]', 'sesame');
    await page.click('dialog button.primary');
    await page.waitForSelector('#holds .holds li');
    check('a hold is placed, and its reason is a text', (await page.locator('#holds .holds li').textContent()).includes('<img src=x'));
    await page.click('#holds .holds li button');
    await page.fill('dialog input[name=author]', 'mei');
    await page.click('dialog button.primary');
    await page.waitForSelector('#holds .holds li', { state: 'detached' });
    check('and lifted', true);
    await page.click('.instance .more >> nth=0');
    await page.selectOption('dialog select[name=kind]', 'protect');
    await page.fill('dialog input[name=author]', 'mei');
    await page.fill('dialog input[name=reason]', 'a look');
    check('a known token is not asked for', !(await page.locator('dialog input[name=token]').isVisible()));
    await page.click('dialog button.primary');
    await page.waitForSelector('#instructions .holds li');
    check('an instance is protected', (await page.locator('#instructions .holds li').textContent()).includes('protect i-'));
    await page.click('#instructions .holds li button');
    await page.fill('dialog input[name=author]', 'mei');
    await page.click('dialog button.primary');
    await page.waitForSelector('#instructions .holds li', { state: 'detached' });
    await page.click('#set-size');
    check('a size within the bounds is asked for', (await page.locator('dialog input[name=size]').getAttribute('max')) !== null);
    await page.click('dialog button:not(.primary)');
    await page.goto(`${url}/#/events`);
    await page.waitForSelector('.events');
    await page.goto(`${url}/#/audit`);
    await page.waitForSelector('h1');
    check('nothing is on the console', faults.length === 0, faults.join('; '));
    await page.context().close();

    for (const [scheme, width] of [['light', 1440], ['dark', 1440], ['light', 768], ['light', 390], ['dark', 390]]) {
      const { page, context } = await open({ colorScheme: scheme, viewport: { width, height: 900 }, bypassCSP: true });
      await page.goto(url);
      await page.waitForSelector('tr[data-fleet="web"].green, tr[data-fleet="web"].amber, tr[data-fleet="web"].red');
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      check(`${width} px hold the overview`, !wide);
      await accessible(page, `the overview (${scheme}, ${width} px)`);
      await shot(page, `overview-${scheme}-${width}`);
      await page.goto(`${url}/#/fleet/web`);
      await page.waitForSelector('.course canvas');
      await page.waitForSelector('.story .explain dd');
      check(`${width} px hold a fleet`, !(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)));
      await accessible(page, `a fleet (${scheme}, ${width} px)`);
      await shot(page, `fleet-${scheme}-${width}`);
      await context.close();
    }
    const chinese = await open({ locale: 'zh-CN' });
    await chinese.page.goto(url);
    await chinese.page.waitForSelector('tr[data-fleet="web"]');
    check('it speaks Chinese', (await chinese.page.locator('nav').textContent()).includes('集群'));
    await shot(chinese.page, 'overview-zh');
  },

  // Five hundred fleets, one of which has a name as long as names may be.
  async many() {
    const { page, faults } = await open();
    await page.goto(url);
    await page.waitForFunction(() => document.querySelectorAll('tbody tr[data-fleet]').length === 500);
    check('five hundred fleets are shown', true);
    await page.fill('#filter', 'fleet-4');
    await page.waitForFunction(() => document.querySelectorAll('tbody tr[data-fleet]').length === 100);
    check('and filtered', true);
    await page.fill('#filter', 'nothing of that name');
    await page.waitForSelector('.empty');
    await page.fill('#filter', '');
    await page.click('th.serves button');
    check('and sorted', (await page.locator('th.serves').getAttribute('aria-sort')) === 'ascending');
    await shot(page, 'overview-many');
    check('nothing is on the console', faults.length === 0, faults.join('; '));
  },

  // The demo: the fleet grows before one's eyes, and the page need not be loaded again for that.
  async demo() {
    const { page, faults } = await open();
    await page.goto(`${url}/#/fleet/web`);
    const serves = (least) => page.waitForFunction((least) => Number(document.querySelector('.fact dd')?.textContent) >= least, least);
    await serves(2);
    await page.waitForSelector('.course canvas');
    await serves(4);
    check('the fleet grows', true);
    await page.waitForSelector('.decisions .mark.out');
    check('and says why', (await page.locator('.decisions').textContent()).includes('add 2'));
    check('the newest decision is explained', (await page.locator('.story .explain').textContent()).includes('cpu'));
    await shot(page, 'demo-fleet');
    check('nothing is on the console', faults.length === 0, faults.join('; '));
  },

  // The daemon goes, and comes back: `look.mjs` says "away" and "back" when it wants that.
  async lost() {
    const { page, faults } = await open();
    await page.goto(url);
    await page.waitForSelector('tr[data-fleet="web"]');
    await page.waitForFunction(() => document.getElementById('link').dataset.state === 'live');
    const answers = process.stdin[Symbol.asyncIterator]();
    console.log('away');
    await answers.next();
    await page.waitForFunction(() => document.getElementById('link').dataset.state === 'lost');
    await shot(page, 'overview-lost');
    check('a lost connection is said', true);
    check('and what was known stays', (await page.locator('tr[data-fleet="web"]').count()) === 1);
    console.log('back');
    await answers.next();
    await page.waitForFunction(() => document.getElementById('link').dataset.state === 'live');
    await page.waitForFunction(() => !document.querySelector('main > .refused'));
    check('it recovers', faults.length === 0, faults.join('; '));
    process.stdin.destroy();
  },
};

try {
  await cases[wanted]();
} catch (error) {
  console.log(`FAILED ${error.message}`);
  process.exitCode = 1;
}
await browser.close();
