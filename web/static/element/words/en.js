/** What the growth card says in English. @type {Record<string, string>} */
export default {
  same: 'No change in 7 days', noWeeks: 'No revenue in 14 days',
  firstWeek: 'Nothing to compare with', above: 'Above the 7 days before',
  below: 'Below the 7 days before', untilNow: 'vs. the 7 days before, until {time}',
  wholeDays: '{change} vs. 7 whole days (today so far)', lastDays: 'Last 14 days, with today',
};
