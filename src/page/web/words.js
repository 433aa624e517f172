// The page's own words. What the daemon says of a decision is English in both.
const en = {
  at: 'Time', fleets: 'Fleets', events: 'Events', audit: 'Audit', fleet: 'Fleet', serves: 'Serves', coming: 'Coming',
  going: 'Going', wants: 'Wants', bounds: 'Bounds', signal: 'Signal', why: 'Why', filter: 'Filter fleets',
  live: 'live', lost: 'connection lost, trying again', waiting: 'waits for the daemon', ago: 'ago',
  none: 'No fleet yet. Add [fleet.NAME] to the configuration and run fleetscaler reload.',
  nomatch: 'No fleet matches this filter.', alerts: 'Alerts', holds: 'Holds', decisions: 'Decisions',
  instances: 'Instances', places: 'Places', hold: 'Hold', lift: 'Lift', until: 'until', by: 'by',
  nodata: 'The journal has no ticks of this time.', size: 'Instances', serving: 'serving',
  desired: 'desired', current: 'serving or coming', notseen: 'not seen yet', elsewhere: 'another replica acts for it',
  noholds: 'No hold is in force.', noalerts: 'No alert.', nodecisions: 'No decision yet.', noinstances: 'No instances.',
  noplaces: 'Every place may be tried.', all: 'all', kind: 'Kind', noevents: 'Nothing has happened since this page was opened.',
  noaudit: 'No audit yet: the first is made within the hour.', clean: 'nothing found', reason: 'Reason', name: 'Your name',
  what: 'What to hold', both: 'everything', scale_in: 'scale-in', scale_out: 'scale-out', long: 'For how long', cancel: 'Cancel',
  place: 'Place the hold', token: 'API token', tokenhint: 'The daemon asks for a token to change something.',
  refused: 'Refused', zone: 'Zone', phase: 'Phase', type: 'Type', since: 'since', saw: 'It saw', rule: 'Rule', did: 'Did',
  short: 'Short', else: 'Else', because: 'Because', age: 'Age', range: 'Time shown', times: 'Times are', unhealthy: 'needs a person',
  state: 'State', stock: 'Type in vSwitch', liftask: 'Lift this hold?', failed: 'The daemon did not answer', out: 'scale-out', in: 'scale-in', blocked: 'blocked',
};
const zh = {
  at: '时间', fleets: '集群', events: '事件', audit: '审计', fleet: '集群', serves: '在服务', coming: '即将就绪', going: '退出中', wants: '期望',
  bounds: '范围', signal: '信号', why: '原因', filter: '筛选集群', live: '实时', lost: '连接中断，正在重试', waiting: '等待守护进程',
  ago: '前', none: '还没有集群。请在配置中添加 [fleet.NAME]，然后运行 fleetscaler reload。', nomatch: '没有符合筛选条件的集群。',
  alerts: '告警', holds: '保持', decisions: '决策', instances: '实例', places: '位置', hold: '保持', lift: '解除', until: '至', by: '由',
  nodata: '决策记录中没有这段时间的数据。', size: '实例', serving: '在服务', desired: '期望', current: '在服务或即将就绪', notseen: '尚未看到',
  elsewhere: '由另一个副本负责', noholds: '没有生效的保持。', noalerts: '没有告警。', nodecisions: '还没有决策。', noinstances: '没有实例。',
  noplaces: '所有位置都可以尝试。', all: '全部', kind: '类别', noevents: '打开本页之后还没有发生任何事。', noaudit: '还没有审计：第一次在一小时内进行。',
  clean: '未发现问题', reason: '原因', name: '您的名字', what: '保持什么', both: '全部', scale_in: '缩容', scale_out: '扩容', long: '多长时间',
  cancel: '取消', place: '设置保持', token: 'API 令牌', tokenhint: '修改需要令牌。', refused: '被拒绝', zone: '可用区', phase: '阶段', type: '规格',
  since: '自', saw: '看到', rule: '规则', did: '动作', short: '不足', else: '否则', because: '因为', age: '时长', range: '时间范围', times: '时间为',
  unhealthy: '需要处理', state: '状态', stock: '规格与 vSwitch', liftask: '解除这个保持？', failed: '守护进程没有应答', out: '扩容', in: '缩容', blocked: '受阻',
};
export const language = (navigator.language || 'en').toLowerCase().startsWith('zh') ? 'zh' : 'en';
const words = language === 'zh' ? zh : en;
export const t = (key) => words[key] ?? en[key] ?? key;
