/** What the growth card says in English. @type {Record<string, string>} */
export default {
  same: 'No change in 7 days', noWeeks: 'No revenue in 14 days',
  firstWeek: 'Nothing to compare with', above: 'Above the 7 days before',
  below: 'Below the 7 days before', untilNow: '7 days × the 7 before, both until {time}',
  wholeDays: '{change} against 7 whole days, with today unfinished',
};
